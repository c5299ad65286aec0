/**
 * Writers change lots and links, and store lots through Lotline and directly. At the same time
 * readers request traces and check each response against what was stored, and when.
 *
 * @module
 */

import { FRESH_MS } from "../cache/trace_cache.ts";
import type { Sql } from "../db/sql.ts";
import { Random } from "../dev/random.ts";
import { delay } from "../timing.ts";

/** The processes and the database under test. */
export interface HammerTarget {
  /** Lotline's processes; each request goes to one of them. */
  readonly lotline: readonly string[];
  /** Changes rows without Lotline, as the plant's own scripts and an older server do. */
  readonly sql: Sql;
}

export interface HammerOptions {
  readonly seed: number;
  /** The number of responses to check. */
  readonly reads: number;
  /** Changes a second, besides the lots that are stored through the servers. */
  readonly changesPerSecond: number;
}

/** The results. */
export interface HammerResult {
  readonly reads: number;
  readonly changes: number;
  /** Lots stored through Lotline and requested immediately. */
  readonly ownWrites: number;
  /** Responses with a value that was overwritten longer ago than the window, or never stored. */
  readonly wrong: readonly string[];
  /** For each response with an overwritten value: its age in ms, in ascending order. */
  readonly stale: readonly number[];
}

const LOTS = 60;
const LINKS = 90;
const READERS = 8;
const WRITERS = 6;
/** How long a writer keeps to one lot. */
const TURN_MS = 150;
/** Valkey's time is in whole ms. */
const WINDOW_MS = FRESH_MS + 2;

/** A value that is overwritten repeatedly, with the moments of each change. */
class History {
  readonly #states: { readonly value: string; readonly begun: number; stored: number }[];

  constructor(value: string) {
    this.#states = [{ value, begun: -Infinity, stored: -Infinity }];
  }

  get value(): string {
    return this.#states.at(-1)?.value ?? "";
  }

  /** Overwrites it with `store`. */
  async overwrite(value: string, store: () => PromiseLike<unknown>): Promise<void> {
    const state = { value, begun: performance.now(), stored: Infinity };
    this.#states.push(state);
    await store();
    state.stored = performance.now();
    // Values that no running request can show any more.
    if (this.#states.length > 200) this.#states.splice(0, 100);
  }

  /**
   * For how long, in ms, this value had been overwritten at `requested` when a response showed it:
   * 0 if it was the newest, infinite if it could not be seen by `responded`.
   */
  overwrittenFor(value: string, requested: number, responded: number): number {
    const index = this.#states.findLastIndex((one) =>
      one.value === value && one.begun <= responded
    );
    if (index === -1) return Infinity;
    return Math.max(0, requested - (this.#states[index + 1]?.stored ?? Infinity));
  }
}

interface Received {
  readonly central: { readonly id: string; readonly lot_code: string; readonly weight_kg: string };
  readonly parents: readonly { readonly lot_code: string; readonly weight_kg: string }[];
  readonly children: readonly { readonly lot_code: string; readonly weight_kg: string }[];
}

/** Hammers until enough responses were checked. It creates the lots that it needs. */
export async function hammerTraces(
  target: HammerTarget,
  options: HammerOptions,
): Promise<HammerResult> {
  const { sql } = target;
  const run = crypto.randomUUID().slice(0, 8);
  const codes = Array.from({ length: LOTS }, (_, n) => `HAMMER-${run}-${n}`);
  const codeAt = (n: number) => codes[n % LOTS] ?? "";
  const weights = new Map(codes.map((code) => [code, new History("0")]));
  // Link n leads from one lot to another; its history tells whether it exists.
  const ends = Array.from({ length: LINKS }, (_, n) => {
    const random = new Random(options.seed + n);
    return {
      parent: codeAt(random.between(0, 1e6) | 0),
      child: codeAt(random.between(0, 1e6) | 0),
    };
  });
  const links = ends.map(() => new History("absent"));
  await sql`insert into lots (lot_code, weight_kg)
    select code, 0 from jsonb_array_elements_text(${sql.json(codes)}) code`;

  const began = performance.now();
  const wrong: string[] = [];
  const stale: number[] = [];
  let reads = 0;
  let changes = 0;
  let ownWrites = 0;
  const isOver = () => reads >= options.reads || wrong.length > 20;

  const judge = (
    what: string,
    history: History,
    value: string,
    requested: number,
    responded: number,
  ) => {
    const ms = history.overwrittenFor(value, requested, responded);
    if (ms > 0) stale.push(ms);
    if (ms > WINDOW_MS) {
      wrong.push(`${what} was ${value}, overwritten ${ms} ms before the request`);
    }
  };

  const send = async (random: Random, code: string) => {
    const base = target.lotline[Math.floor(random.next() * target.lotline.length)] ?? "";
    const requested = performance.now();
    const response = await fetch(`${base}/api/traceability/${code}`);
    const text = await response.text();
    return { status: response.status, text, asked: requested, responded: performance.now() };
  };

  const read = async (random: Random) => {
    const code = codeAt(Math.floor(random.next() * LOTS));
    const { status, text, asked: requested, responded } = await send(random, code);
    reads++;
    if (status !== 200) return void wrong.push(`${code} got ${status}: ${text}`);
    const trace: Received = JSON.parse(text);
    for (const lot of [trace.central, ...trace.parents, ...trace.children]) {
      const history = weights.get(lot.lot_code);
      if (history) judge(lot.lot_code, history, lot.weight_kg, requested, responded);
    }
    for (const [n, { parent, child }] of ends.entries()) {
      const history = links[n];
      if (history === undefined || (parent !== code && child !== code)) continue;
      // Other links may join the same lots: then the shown one can't be identified.
      if (ends.filter((other) => other.parent === parent && other.child === child).length > 1) {
        continue;
      }
      const shown = parent === code
        ? trace.children.some((lot) => lot.lot_code === child)
        : trace.parents.some((lot) => lot.lot_code === parent);
      judge(`${parent} → ${child}`, history, shown ? "there" : "absent", requested, responded);
    }
  };

  const change = async (random: Random, mine: number) => {
    // Each lot and link has one writer, so that their order is known.
    // It is changed often for some time, and then not for longer than the window. So a trace that
    // was cached at its last valid moment would be found.
    const turn = Math.floor((performance.now() - began) / TURN_MS);
    const n = mine + WRITERS * (turn % (LOTS / WRITERS));
    const history = weights.get(codeAt(n));
    if (random.next() < 0.7 && history) {
      const value = String(Number(history.value) + 1);
      await history.overwrite(value, () =>
        sql`
        update lots set weight_kg = ${value}::text::numeric where lot_code = ${codeAt(n)}`);
    } else {
      const l = mine + WRITERS * Math.floor(random.next() * (LINKS / WRITERS));
      const [link, both] = [links[l], ends[l]];
      if (!link || !both) return;
      const isThere = link.value === "there";
      await link.overwrite(
        isThere ? "absent" : "there",
        () =>
          isThere
            ? sql`delete from lot_genealogy where quantity_used_kg = ${l}`
            : sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
              select parent.id, child.id, ${l} from lots parent, lots child
              where parent.lot_code = ${both.parent} and child.lot_code = ${both.child}`,
      );
    }
    changes++;
  };

  /**
   * A lot that others have deleted is stored again through Lotline: its response is the new one.
   */
  const storeOwn = async (random: Random, code: string) => {
    await send(random, code);
    await sql`delete from lots where lot_code = ${code}`;
    const base = target.lotline[0] ?? "";
    const stored = await fetch(`${base}/api/lots`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ lot_code: code }),
    });
    const lot: { id?: string } = await stored.json();
    for (let n = 0; n < 3; n++) {
      const { status, text } = await send(random, code);
      if (status !== 200 || JSON.parse(text).central.id !== lot.id) {
        wrong.push(`${code} was stored as ${lot.id}, and then ${status} ${text} was the response`);
      }
    }
    ownWrites++;
    await sql`insert into lots (lot_code) values (${`${code}-OLD-${ownWrites}`})`;
  };

  const loop = async (n: number, step: (random: Random) => Promise<void>) => {
    const random = new Random(options.seed * 1_000 + n);
    while (!isOver()) await step(random);
  };
  await Promise.all([
    ...Array.from({ length: READERS }, (_, n) => loop(n, read)),
    ...Array.from({ length: WRITERS }, (_, n) =>
      loop(100 + n, async (random) => {
        const due = began + changes * 1_000 / options.changesPerSecond;
        const early = due - performance.now();
        if (early > 0) await delay(early);
        await change(random, n);
      })),
    loop(200, (random) => storeOwn(random, `HAMMER-${run}-OWN`)),
  ]);
  stale.sort((a, b) => a - b);
  return { reads, changes, ownWrites, wrong, stale };
}
