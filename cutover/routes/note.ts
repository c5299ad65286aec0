import { z } from "zod";

/** Who changes a route, and why: it stands in the record for as long as the migration is spoken of. */
export interface Note {
  readonly who: string;
  readonly why: string;
}

const MAX_WHO_CHARACTERS = 100;
/** The longest reason, in characters. */
export const MAX_WHY_CHARACTERS = 500;

// PostgreSQL stores no NUL.
const words = (max: number) =>
  z.string().transform((text) => text.replaceAll("\0", "").trim())
    .pipe(z.string().min(1).max(max));

/** Reads a note that somebody sent or typed. */
export const NoteForm = z.object({
  who: words(MAX_WHO_CHARACTERS),
  why: words(MAX_WHY_CHARACTERS),
});

/**
 * A reason that a program gives, as it can be stored whatever it holds: a rollback must not fail
 * over the words for it.
 */
export function storableReason(text: string): string {
  const clean = text.toWellFormed().replaceAll("\0", "").trim();
  // By characters as PostgreSQL counts them, so that none is cut in half.
  return [...clean].slice(0, MAX_WHY_CHARACTERS).join("").trim() || "no reason given";
}
