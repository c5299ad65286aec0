import { fileURLToPath } from "node:url";
import { z } from "zod";
import { MIN_DAYS } from "../http/deprecation.ts";
import { asObject, inlined, type Json, promisesOf } from "./normal_form.ts";

/** A change that may break a client which followed the earlier document. */
export interface BreakingChange {
  /** The operation's id in the earlier document; empty for a change that concerns all. */
  readonly operation: string;
  /** The change, in a sentence. */
  readonly text: string;
}

const SEVERITY_LEVELS = fileURLToPath(new URL("./oasdiff/severity_levels.txt", import.meta.url));

const Found = z.array(z.object({ operationId: z.string().default(""), text: z.string() }));

/**
 * The changes that break clients when one document replaces another: those that oasdiff reports,
 * warnings included, and those that it doesn't check.
 *
 * @param oasdiff the path of the program
 * @throws {Error} when a document can't be read
 */
export async function findBreakingChanges(
  oasdiff: string,
  before: Json,
  after: Json,
): Promise<BreakingChange[]> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-contract-" });
  try {
    const files = [`${folder}/before.json`, `${folder}/after.json`] as const;
    await Deno.writeTextFile(files[0], JSON.stringify(inlined(before)));
    await Deno.writeTextFile(files[1], JSON.stringify(inlined(after)));
    const { success, stdout, stderr } = await new Deno.Command(oasdiff, {
      args: [
        "breaking",
        ...files,
        "--format=json",
        `--severity-levels=${SEVERITY_LEVELS}`,
        `--deprecation-days-stable=${MIN_DAYS}`,
      ],
    }).output();
    if (!success) throw new Error(`oasdiff: ${new TextDecoder().decode(stderr)}`);
    const found = Found.parse(JSON.parse(new TextDecoder().decode(stdout)));
    return [
      ...found.map(({ operationId, text }) => ({ operation: operationId, text })),
      ...findUnseen(before, after),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Two kinds of changes that oasdiff 1.36 doesn't check: the roles of a token, and whether
 * additional properties are allowed. Branches of alternatives are left out, since they have no
 * path.
 */
function findUnseen(before: Json, after: Json): BreakingChange[] {
  const [old, now] = [promisesOfSame(before), promisesOfSame(after)];
  const [ids, idsNow] = [idsOf(old), idsOf(now)];
  const found: BreakingChange[] = [];
  const tell = (line: string, text: string) => {
    const operation = ids.get(operationOf(line));
    // An operation in only one document is new, or reported as removed.
    if (operation !== undefined && idsNow.has(operationOf(line))) {
      found.push({ operation, text });
    }
  };
  for (const line of old.difference(now)) {
    const [, token] = /^\S+ [^ ]*?\/security\[\]\/(\S+ = .*)$/.exec(line) ?? [];
    if (token !== undefined) tell(line, `a token is not enough any more: ${token}`);
    const [, role] = ROLE.exec(line) ?? [];
    if (role !== undefined && limitsRoles(now, line)) {
      tell(line, `a role is not enough any more: ${role}`);
    }
    const place = closedPlace(line);
    if (place?.includes("/responses/") && hasPlace(now, place)) {
      tell(line, `responses may hold fields that are not named, at ${placeInOperation(place)}`);
    }
  }
  const limited = new Set<string>();
  for (const line of now.difference(old)) {
    const operation = operationOf(line);
    // Without a token in the earlier document, its clients have no role that could be refused.
    if (
      ROLE.test(line) && !limitsRoles(old, line) && takesToken(old, line) && !limited.has(operation)
    ) {
      limited.add(operation);
      tell(line, "not every role is enough any more");
    }
    const place = closedPlace(line);
    if (place?.includes("/requestBody/") && hasPlace(old, place)) {
      tell(line, `fields that are not named are refused, at ${placeInOperation(place)}`);
    }
  }
  return found;
}

const promisesByDocument = new WeakMap<object, Set<string>>();

/** {@link promisesOf} a document that doesn't change meanwhile: a comparison takes 0.1 s a document. */
function promisesOfSame(document: Json): Set<string> {
  const key = asObject(document);
  const promises = promisesByDocument.get(key) ?? promisesOf(document);
  promisesByDocument.set(key, promises);
  return promises;
}

const ROLE = /\/x-roles\[\] = "(.*)"$/;

/** Whether the operation of a line names roles: without them every token is enough. */
function limitsRoles(lines: Set<string>, line: string): boolean {
  return [...lines].some((other) => other.startsWith(`${operationOf(line)}/x-roles`));
}

function takesToken(lines: Set<string>, line: string): boolean {
  return [...lines].some((other) => other.startsWith(`${operationOf(line)}/security[]/`));
}

const CLOSED = "/additionalProperties = false";

function closedPlace(line: string): string | undefined {
  return line.endsWith(CLOSED) ? line.slice(0, -CLOSED.length) : undefined;
}

function hasPlace(lines: Set<string>, place: string): boolean {
  return [...lines].some((line) => line.startsWith(`${place}/`));
}

const OPERATION =
  /^(?:\S+ .*?)(?=\/(?:operationId|parameters|requestBody|responses|security|x-roles)\b)/;

/** `post /api/lots` of a line about it. */
function operationOf(line: string): string {
  return OPERATION.exec(line)?.[0] ?? "";
}

function placeInOperation(place: string): string {
  return place.slice(operationOf(place).length + 1);
}

function idsOf(lines: Set<string>): Map<string, string> {
  const ids = new Map<string, string>();
  for (const line of lines) {
    const [, operation, id] = /^(\S+ .*)\/operationId = "(.*)"$/.exec(line) ?? [];
    if (operation !== undefined && id !== undefined) ids.set(operation, id);
  }
  return ids;
}

/**
 * Whether a version may break the promises of another: its major number is higher or, before 1.0,
 * its minor one (https://semver.org, 4).
 */
export function mayBreak(released: string, now: string): boolean {
  const [[oldMajor, oldMinor], [major, minor]] = [partsOf(released), partsOf(now)];
  return major > oldMajor || (major === 0 && oldMajor === 0 && minor > oldMinor);
}

function partsOf(version: string): [major: number, minor: number] {
  const [, major, minor] = /^(\d+)\.(\d+)\.\d+$/.exec(version) ?? [];
  if (major === undefined || minor === undefined) throw new Error(`${version} is no version`);
  return [Number(major), Number(minor)];
}
