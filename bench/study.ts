/**
 * Measurements beside the comparison: their options and their reports.
 *
 * @module
 */

/** What a measurement found. */
export interface Report {
  /** For people: Markdown. */
  readonly text: string;
  /** For programs: every single figure. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** The share of the machine, from 0 to 1, that other programs took, run by run. */
  readonly takenByOthers: readonly number[];
}

export interface StudyOptions {
  readonly rounds: number;
  /** How long a run takes, a whole number; the study's own choice unless said. */
  readonly seconds?: number;
  /** How many requests are sent, where a study goes by that; its own choice unless said. */
  readonly requests?: number;
  /** The path of wrk. */
  readonly wrk: string;
  /** An existing folder for databases and logs; what is put there is left there. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** A measurement of one program or of one question. */
export interface Study {
  readonly name: string;
  run(options: StudyOptions): Promise<Report>;
}
