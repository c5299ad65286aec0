/**
 * Known vulnerabilities of locked packages, from the registry, and the answers to them.
 *
 * @module
 */
// @ts-types="@types/semver"
import semver from "semver";
import { parse } from "yaml";
import { z } from "zod";
import { RefusedError } from "../command_line.ts";
import type { Installed } from "./lockfiles.ts";

/** One advisory on one package. */
export interface Finding {
  /** As in GitHub's database, such as `GHSA-8hc4-vh64-cxmj`. */
  readonly id: string;
  readonly package: string;
  readonly title: string;
  readonly severity: string;
  readonly url: string;
  /** The locked versions that it concerns. */
  readonly installed: readonly Installed[];
}

const Answer = z.strictObject({
  id: z.string().min(1),
  package: z.string().min(1),
  verdict: z.enum(["not affected", "accepted", "waiting"]),
  reason: z.string().min(10),
  answered: z.iso.date(),
  until: z.iso.date(),
}).refine(({ answered, until }) => until > answered, "`until` must come after `answered`");

/** Why a finding is no reason to act at once, and until when that holds. */
export type Answer = z.output<typeof Answer>;

/** @throws {z.ZodError} when the text has another form */
export function parseAnswers(text: string): Answer[] {
  return z.array(Answer).parse(parse(text));
}

/** The findings in view of the answers. */
export interface Judgement {
  readonly answered: readonly (readonly [Finding, Answer])[];
  /** Those without an answer, or with one that has ended. */
  readonly open: readonly (readonly [Finding, ended: Answer | undefined])[];
  /** Answers to what isn't found any more. */
  readonly unused: readonly Answer[];
}

/** @param today as in `2026-12-01` */
export function judge(
  findings: readonly Finding[],
  answers: readonly Answer[],
  today: string,
): Judgement {
  const answerTo = (finding: Finding) =>
    answers.find((one) => one.id === finding.id && one.package === finding.package);
  const answered: [Finding, Answer][] = [];
  const open: [Finding, Answer | undefined][] = [];
  for (const finding of findings) {
    const answer = answerTo(finding);
    if (answer !== undefined && answer.until >= today) answered.push([finding, answer]);
    else open.push([finding, answer]);
  }
  const used = new Set(findings.map(answerTo));
  return { answered, open, unused: answers.filter((one) => !used.has(one)) };
}

const Advisories = z.record(
  z.string(),
  z.array(z.looseObject({
    id: z.number(),
    url: z.string(),
    title: z.string(),
    severity: z.string(),
    vulnerable_versions: z.string(),
  })),
);
const PATH = "-/npm/v1/security/advisories/bulk";
const TIMEOUT_MS = 30_000;

/**
 * Sends the packages' names and versions to the registry, as `npm audit` does.
 * @param registry its address
 * @throws {RefusedError} when it doesn't say which vulnerabilities it knows
 */
export async function findVulnerabilities(
  registry: string,
  installed: readonly Installed[],
): Promise<Finding[]> {
  const versions = Map.groupBy(installed, ({ name }) => name);
  const body = [...versions].map(([name, ones]) => [name, ones.map(({ version }) => version)]);
  const found = Advisories.safeParse(await send(registry, Object.fromEntries(body)));
  if (!found.success) throw unanswered("its response has another form than npm's");
  return Object.entries(found.data).flatMap(([name, advisories]) =>
    advisories.flatMap(({ id, url, title, severity, vulnerable_versions: range }) => {
      const concerned = (versions.get(name) ?? []).filter(({ version }) =>
        semver.satisfies(version, range, { includePrerelease: true, loose: true })
      );
      if (concerned.length === 0) return [];
      const known = /GHSA(?:-\w{4}){3}/.exec(url)?.[0] ?? `npm ${id}`;
      return [{ id: known, package: name, title, severity, url, installed: concerned }];
    })
  ).sort((a, b) => `${a.package} ${a.id}` < `${b.package} ${b.id}` ? -1 : 1);
}

async function send(registry: string, body: unknown): Promise<unknown> {
  try {
    const response = await fetch(new URL(PATH, registry.replace(/\/*$/, "/")), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw unanswered(`it responds ${response.status}, as mirrors often do`);
    return JSON.parse(text);
  } catch (thrown) {
    if (thrown instanceof RefusedError) throw thrown;
    throw unanswered(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function unanswered(reason: string): RefusedError {
  return new RefusedError(
    `The registry doesn't say which vulnerabilities it knows: ${reason}. Nothing was checked. ` +
      "npm_config_registry names another registry.",
  );
}
