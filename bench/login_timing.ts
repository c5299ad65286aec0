/**
 * Whether the time that a refused login takes tells why it was refused.
 *
 * @module
 */

import { hashPassword } from "../auth/password_work.ts";
import { Random } from "../dev/random.ts";
import { withCosts } from "./costs.ts";
import { WrongAnswersError } from "./measure.ts";
import { quantile } from "./quantile.ts";
import { startGuardedPlant, type Study } from "./study.ts";
import { markdownTable } from "./table.ts";

/** How often each kind of login is tried; some more are tried before and not counted. */
const TRIES = 200;
const WARM_UP_TRIES = 5;
const ACCOUNTS = 100;
/** How far a median may lie from that of a known account with a wrong password. */
const TOLERANCE = 0.05;

const PASSWORD = "the right password";
const WRONG_PASSWORD = "a password of none";
const REFUSED = '{"error":"Wrong email or password"}';

/** A kind of refused login with what its tries took, in ms. */
export interface Sample {
  readonly title: string;
  readonly ms: readonly number[];
}

/** A kind of refused login in short. */
export interface Timing {
  readonly title: string;
  readonly p10Ms: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  /** The median beside that of the first kind. */
  readonly ratio: number;
  /** Whether the median is as near to the first kind's as is promised. */
  readonly isWithin: boolean;
}

/** Refused logins of all kinds in random order, one after the other. */
export const LOGIN_TIMING: Study = {
  name: "login-timing",
  async run(options) {
    const { say } = options;
    await using lotline = await startGuardedPlant(options);
    const hash = await hashPassword(PASSWORD);
    const cheapHash = await hashPassword(PASSWORD, 10);
    const known = await lotline.addAccounts(ACCOUNTS, hash);
    const withAccounts = async (title: string, passwordHash: string | null) =>
      kind(title, await lotline.addAccounts(ACCOUNTS, passwordHash));
    const kinds = [
      kind("known account, wrong password", known),
      kind("unknown account", known.map(() => `${crypto.randomUUID()}@plant.example`)),
      await withAccounts("account without a password", null),
      await withAccounts("account with a malformed hash", "not a hash"),
      await withAccounts("account with a hash of cost 10, wrong password", cheapHash),
    ];

    // Else all of them might be refused for another reason than the one that is meant.
    const [first = ""] = known;
    const { status } = await tryLogin(lotline.url, first, PASSWORD);
    if (status !== 200) throw new WrongAnswersError(`The right password was answered ${status}`);

    const count = kinds.length * TRIES;
    say(`${count} logins, one after the other, which takes some minutes`);
    for (const { emails } of inRandomOrder(kinds, WARM_UP_TRIES)) {
      await refusedIn(lotline.url, emails[0] ?? "");
    }
    const { costs } = await withCosts(lotline, async () => {
      for (const [done, { emails, ms }] of inRandomOrder(kinds, TRIES).entries()) {
        if (done > 0 && done % TRIES === 0) say(`${done} of ${count} logins`);
        ms.push(await refusedIn(lotline.url, emails[ms.length % emails.length] ?? ""));
      }
    });
    const timings = timingsOf(kinds);
    return {
      text: `${TRIES} refused logins of each kind, one after the other\n\n${timingTable(timings)}`,
      figures: { tries: TRIES, timings },
      takenByOthers: [costs.others / costs.all],
    };
  },
};

/** What there is to say of each kind; the first is the one that the others are compared with. */
export function timingsOf(samples: readonly Sample[]): Timing[] {
  const reference = quantile(samples[0]?.ms ?? [], 0.5);
  return samples.map(({ title, ms }) => {
    const medianMs = quantile(ms, 0.5);
    const ratio = medianMs / reference;
    return {
      title,
      p10Ms: quantile(ms, 0.1),
      medianMs,
      p90Ms: quantile(ms, 0.9),
      ratio,
      isWithin: Math.abs(ratio - 1) <= TOLERANCE,
    };
  });
}

function timingTable(timings: readonly Timing[]): string {
  const head = ["", "p10 ms", "median ms", "p90 ms", "ratio", "within 5 %"];
  const rows = timings.map(({ title, p10Ms, medianMs, p90Ms, ratio, isWithin }, index) => [
    title,
    ...[p10Ms, medianMs, p90Ms].map((ms) => ms.toFixed(1)),
    ...index === 0 ? ["", ""] : [`**${ratio.toFixed(3)}×**`, isWithin ? "yes" : "NO"],
  ]);
  return markdownTable(head, rows);
}

interface Kind extends Sample {
  readonly emails: readonly string[];
  readonly ms: number[];
}

function kind(title: string, emails: readonly string[]): Kind {
  return { title, emails, ms: [] };
}

/** Each of these so many times, shuffled (Fisher and Yates), the same way in each run. */
function inRandomOrder<T>(kinds: readonly T[], times: number): T[] {
  const random = new Random(20260301);
  const left = Array.from({ length: times }, () => kinds).flat();
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random.next() * left.length), 1));
  return order;
}

/**
 * Tries a login with a wrong password; gives the time until its answer was read, in ms.
 *
 * @throws {WrongAnswersError} for any other answer than the one that all refused logins have
 */
async function refusedIn(url: string, email: string): Promise<number> {
  const start = performance.now();
  const { status, text } = await tryLogin(url, email, WRONG_PASSWORD);
  const ms = performance.now() - start;
  if (status === 401 && text === REFUSED) return ms;
  throw new WrongAnswersError(`A login with a wrong password was answered ${status}: ${text}`);
}

let tries = 0;

async function tryLogin(
  url: string,
  email: string,
  password: string,
): Promise<{ status: number; text: string }> {
  // The throttle sees each try come from a client of its own.
  const address = `10.0.${tries >> 8}.${tries++ & 255}`;
  const answer = await fetch(`${url}/api/login`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-forwarded-for": address },
    body: JSON.stringify({ email, password }),
  });
  return { status: answer.status, text: await answer.text() };
}
