/**
 * The records of the demo plant: every lot, its inputs, and the decisions at its gates. They make
 * weights balance: a lot can't supply more than it has.
 *
 * @module
 */

import type { JSONValue } from "postgres";
import type { Random } from "./random.ts";

export const LOT_TYPES = ["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"] as const;
export type LotType = typeof LOT_TYPES[number];

export const MINUTE = 60_000;

/** The rows that the week's rows refer to: scenario, phases, gates and people. */
export interface PlantBasis {
  readonly scenarioId: string;
  readonly phaseIds: Readonly<Record<LotType, string>>;
  readonly gateIds: Readonly<Record<LotType, string>>;
  readonly operators: readonly [Person, ...Person[]];
  readonly inspectors: readonly [Person, ...Person[]];
}

export interface Person {
  readonly id: string;
  readonly initials: string;
}

/** A day of one line. Times are milliseconds since 1970. */
export interface Run {
  readonly id: string;
  readonly code: string;
  readonly line: string;
  readonly date: string;
  readonly startedAt: number;
  readonly endsAt: number;
  readonly targetKg: number;
}

/** Weights are whole hundredths of a kilogram, so that sums are exact. */
export interface Lot {
  readonly id: string;
  readonly code: string;
  readonly type: LotType;
  readonly run: Run;
  readonly operatorId: string;
  /** As it was entered. */
  weight: number;
  /** The weight that no other lot has used yet. */
  left: number;
  readonly celsius: number;
  readonly metadata: JSONValue;
  readonly at: number;
}

export interface Link {
  readonly id: string;
  readonly parent: Lot;
  readonly child: Lot;
  readonly quantity: number;
}

export interface Decision {
  readonly id: string;
  readonly lot: Lot;
  readonly by: Person;
  readonly decision: "PASS" | "HOLD" | "FAIL";
  readonly notes: string | null;
  readonly at: number;
}

/** An input of a lot: this much (hundredths of a kilogram) of that one. */
export type Input = readonly [from: Lot, quantity: number];

/** The properties of a new lot. */
export interface LotPlan {
  readonly type: LotType;
  readonly run: Run;
  readonly at: number;
  /** Degrees Celsius. */
  readonly temperature: readonly [least: number, most: number];
  readonly metadata: JSONValue;
  /** Those of a lot that the documents name. */
  readonly known?: { readonly id: string; readonly code: string };
}

export class PlantRecords {
  readonly runs: Run[] = [];
  readonly lots: Lot[] = [];
  readonly links: Link[] = [];
  readonly decisions: Decision[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(readonly basis: PlantBasis, readonly random: Random) {}

  openRun(date: string, line: string, startedAt: number, endsAt: number): Run {
    const code = `PRD-${date.replaceAll("-", "")}-${line}`;
    const targetKg = 1900 + 50 * Math.floor(this.random.between(0, 5));
    const run = { id: this.random.uuid(), code, line, date, startedAt, endsAt, targetKg };
    this.runs.push(run);
    return run;
  }

  /** Records material that arrives. `weight` is in hundredths of a kilogram. */
  receive(plan: LotPlan, weight: number): Lot {
    const lot: Lot = {
      id: plan.known?.id ?? this.random.uuid(),
      code: plan.known?.code ?? this.#nextCode(plan),
      type: plan.type,
      run: plan.run,
      operatorId: this.random.pick(this.basis.operators).id,
      weight: Math.floor(weight),
      left: Math.floor(weight),
      celsius: this.random.between(...plan.temperature),
      metadata: plan.metadata,
      at: plan.at,
    };
    this.lots.push(lot);
    return lot;
  }

  /**
   * Records a lot that is made from others and weighs `share` (0 to 1) of its inputs.
   *
   * @throws RangeError when an input has less left than is used
   */
  make(plan: LotPlan, inputs: readonly Input[], share: number): Lot {
    const taken = inputs.reduce((sum, [, quantity]) => sum + quantity, 0);
    const child = this.receive(plan, taken * share);
    for (const [parent, quantity] of inputs) {
      if (quantity > parent.left) throw new RangeError(`${parent.code} has not enough left`);
      parent.left -= quantity;
      this.links.push({ id: this.random.uuid(), parent, child, quantity });
    }
    return child;
  }

  decide(lot: Lot, decision: Decision["decision"], at: number, notes: string | null = null): void {
    const by = this.random.pick(this.basis.inspectors);
    this.decisions.push({ id: this.random.uuid(), lot, by, decision, notes, at });
  }

  #nextCode({ type, run }: LotPlan): string {
    const stem = `${type}-${run.date.replaceAll("-", "")}-${run.line}-`;
    const number = (this.#numbers.get(stem) ?? 0) + 1;
    this.#numbers.set(stem, number);
    return stem + String(number).padStart(4, "0");
  }
}
