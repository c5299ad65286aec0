import { z } from "zod";

export interface Note {
  readonly who: string;
  readonly why: string;
}

const MAX_WHO_CHARACTERS = 100;
const MAX_WHY_CHARACTERS = 500;

// PostgreSQL stores no NUL.
const text = (max: number) =>
  z.string().transform((value) => value.replaceAll("\0", "").trim())
    .pipe(z.string().min(1).max(max));

export const NoteForm = z.object({
  who: text(MAX_WHO_CHARACTERS),
  why: text(MAX_WHY_CHARACTERS),
});

/** A program's reason in a form that PostgreSQL accepts: no rollback may fail because of its text. */
export function storableReason(text: string): string {
  const clean = text.toWellFormed().replaceAll("\0", "").trim();
  // By code points as PostgreSQL counts them, so that none is cut in half.
  return [...clean].slice(0, MAX_WHY_CHARACTERS).join("").trim() || "no reason given";
}
