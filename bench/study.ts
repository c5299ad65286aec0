/**
 * Measurements besides the comparison: their options and their reports.
 *
 * @module
 */

/** The result of a measurement. */
export interface Report {
  /** For people: Markdown. */
  readonly text: string;
  /** For programs: every single figure. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** The share of the machine, from 0 to 1, that other programs used, run by run. */
  readonly takenByOthers: readonly number[];
}

export interface StudyOptions {
  readonly rounds: number;
  /** How long a run takes, in whole seconds; the study's own default unless set. */
  readonly seconds?: number;
  /** How many requests are sent, in a study that counts them; its own default unless set. */
  readonly requests?: number;
  /** The path of wrk. */
  readonly wrk: string;
  /** An existing folder for databases and logs; files in it stay. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** A measurement of one program or of one question. */
export interface Study {
  readonly name: string;
  run(options: StudyOptions): Promise<Report>;
}
