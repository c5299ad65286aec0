/**
 * What users of other routes feel of a flood of logins.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { hashPassword } from "../auth/password_work.ts";
import { type Costs, withCosts } from "./costs.ts";
import { WrongAnswersError } from "./measure.ts";
import { type GuardedPlant, startGuardedPlant, type Study, type StudyOptions } from "./study.ts";
import { floodTable, loginTable } from "./flood_tables.ts";
import { type BenchRequest, requestLines, workloadNamed } from "./workloads.ts";
import { type Load, runWrk } from "./wrk.ts";

/** A flood of logins. */
export interface Flood {
  readonly name: string;
  readonly title: string;
  readonly connections: number;
  /** How long each connection rests after an answer, on average. */
  readonly pauseMs: number;
}

/** Several times as many logins as two cores can hash. */
export const FLOODS: readonly Flood[] = [
  {
    name: "crowd",
    title: "64 clients, about 3 logins a second each",
    connections: 64,
    pauseMs: 300,
  },
  {
    name: "attack",
    title: "64 clients, the next login at once",
    connections: 64,
    pauseMs: 0,
  },
];

/** The other routes that are measured, as workloads are named. */
export const ROUTES = ["health", "trace"] as const;

/** One stretch of time with one flood, or none. */
export interface Stretch {
  readonly round: number;
  /** The flood's name; nothing for the quiet. */
  readonly flood: string | undefined;
  readonly routes: Readonly<Record<typeof ROUTES[number], Load>>;
  readonly logins?: Load;
  readonly costs: Costs;
}

const SECONDS = 30;
const ACCOUNTS = 100;
const PASSWORD = "the right password";
/** 16 users a route who each ask about ten times a second: 150 requests a second. */
const USERS = 16;
const USERS_PAUSE_MS = 100;
/** How much earlier a flood begins and later it ends than what is measured in it. */
const MARGIN_SECONDS = 1;
/** Longer than a full queue of hashes takes. */
const DRAIN_SECONDS = 8;

const Session = z.object({ token: z.string() });

/** Round after round: the quiet, and then each flood. */
export const LOGIN_FLOOD: Study = {
  name: "login-flood",
  async run(options) {
    const { rounds, seconds = SECONDS, say } = options;
    await using lotline = await startGuardedPlant(options);
    const loads = await prepareLoads(lotline, options);
    say("Warming up");
    await loads.measured(2);
    const stretches: Stretch[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const flood of [undefined, ...FLOODS]) {
        say(`Round ${round} of ${rounds}: ${flood?.title ?? "quiet"}`);
        const { result, costs } = await withCosts(lotline, async () => {
          const [routes, logins] = await Promise.all([
            pause(MARGIN_SECONDS * 1_000).then(() => loads.measured(seconds)),
            flood && loads.flood(flood, seconds + 2 * MARGIN_SECONDS),
          ]);
          return { routes, ...logins && { logins } };
        });
        stretches.push({ round, flood: flood?.name, ...result, costs });
        // The logins that still wait for their hash would be in the next stretch.
        if (flood !== undefined) await pause(DRAIN_SECONDS * 1_000);
      }
    }
    return {
      text: `Medians of ${rounds} rounds of ${seconds} s · ratio (least–greatest)\n\n` +
        `${floodTable(stretches)}\n\n${loginTable(stretches)}`,
      figures: { rounds, seconds, floods: FLOODS, stretches },
      takenByOthers: stretches.map(({ costs }) => costs.others / costs.all),
    };
  },
};

interface Loads {
  /** The other routes, all at the same time. */
  measured(seconds: number): Promise<Stretch["routes"]>;
  flood(flood: Flood, seconds: number): Promise<Load>;
}

async function prepareLoads(
  lotline: GuardedPlant,
  { wrk, folder }: StudyOptions,
): Promise<Loads> {
  const { url, plant } = lotline;
  const emails = await lotline.addAccounts(ACCOUNTS, await hashPassword(PASSWORD));
  const header = `authorization: Bearer ${await tokenFor(url, emails[0] ?? "")}`;
  const fileOf = async (name: string, requests: readonly BenchRequest[]) => {
    const file = join(folder, `${name}.requests`);
    await Deno.writeTextFile(file, requestLines(requests));
    return file;
  };
  const files = {
    health: await fileOf("health", workloadNamed("health").requests(plant)),
    trace: await fileOf("trace", workloadNamed("trace").requests(plant)),
    logins: await fileOf("logins", loginsOf(emails)),
  };
  const run = (name: keyof typeof files, seconds: number, connections: number, pauseMs: number) =>
    runWrk({
      wrk,
      url,
      requestFile: files[name],
      label: crypto.randomUUID(),
      seconds,
      connections,
      pauseMs,
      ...name === "logins" ? { countStatuses: true } : { header },
    });
  const measured = async (name: typeof ROUTES[number], seconds: number) => {
    const load = await run(name, seconds, USERS, USERS_PAUSE_MS);
    const { requests, refused, broken } = load;
    if (requests > 0 && refused === 0 && broken === 0) return load;
    throw new WrongAnswersError(
      `WRONG ANSWERS: ${name}: of ${requests} answers ${refused} had a status of 400 or more, ` +
        `${broken} requests had no answer`,
    );
  };
  return {
    async measured(seconds) {
      const [health, trace] = await Promise.all([
        measured("health", seconds),
        measured("trace", seconds),
      ]);
      return { health, trace };
    },
    async flood({ connections, pauseMs }, seconds) {
      const load = await run("logins", seconds, connections, pauseMs);
      const odd = Object.keys(load.statuses).filter((status) => !EXPECTED.includes(status));
      if (odd.length === 0) return load;
      throw new WrongAnswersError(`WRONG ANSWERS: logins were answered ${odd.join(", ")}`);
    },
  };
}

/** The statuses that a login of the flood may be answered with. */
const EXPECTED = ["200", "401", "429"];

/** With the right password and with a wrong one, in turn. */
function loginsOf(emails: readonly string[]): BenchRequest[] {
  return emails.flatMap((email) =>
    [PASSWORD, "a password of none"].map((password) => ({
      method: "POST" as const,
      path: "/api/login",
      body: { email, password },
    }))
  );
}

async function tokenFor(url: string, email: string): Promise<string> {
  const answer = await fetch(`${url}/api/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password: PASSWORD }),
  });
  return Session.parse(await answer.json()).token;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
