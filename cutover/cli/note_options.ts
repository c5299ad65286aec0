import { userInfo } from "node:os";
import { type Note, NoteForm } from "../routes/note.ts";
import { type Typed, UsageError } from "../../command_line.ts";

/** The options of a command that changes something. */
export const NOTE_OPTIONS = { why: { type: "string" }, who: { type: "string" } } as const;

/** How they are typed. */
export const NOTE_USAGE = "--why TEXT [--who NAME]";

/** Who does this and why; without `--who` it is the user of this machine. */
export function noteIn({ options }: Typed): Note {
  if (options.why === undefined) {
    throw new UsageError("Say why with --why: it stands in the record of the migration");
  }
  const who = options.who ?? machineUser();
  if (who === undefined) throw new UsageError("Say who you are with --who");
  const { success, data } = NoteForm.safeParse({ who, why: options.why });
  if (success) return data;
  throw new UsageError("--why takes 1 to 500 characters, --who 1 to 100");
}

function machineUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // Not permitted, or a container's user without a name.
    return undefined;
  }
}
