import { read } from "read";
import { MAX_PASSWORD_BYTES } from "./typed_password.ts";

/** The fewest characters of a new password (NIST SP 800-63B). */
const MIN_CHARACTERS = 8;

/** A password that can't be taken; the message says why, and never what it was. */
export class PasswordError extends Error {
  override name = "PasswordError";
}

/**
 * A new password: typed twice, unseen, at a terminal; otherwise the first line of standard input. It is
 * composed (NFC), whichever keyboard it comes from: a login tries that form of what is typed then.
 *
 * @param whose is told to whom it belongs
 * @throws {PasswordError} when it is too short or too long, or not the same twice
 */
export async function promptPassword(whose: string): Promise<string> {
  const isTerminal = Deno.stdin.isTerminal();
  const password = (isTerminal ? await typed(`New password of ${whose}:`) : await firstLine())
    .normalize("NFC");
  const problem = problemOf(password);
  if (problem !== undefined) throw new PasswordError(problem);
  if (isTerminal && (await typed("Once more:")).normalize("NFC") !== password) {
    throw new PasswordError("The two are not the same; nothing was changed");
  }
  return password;
}

/** Why a text can't be a password; nothing when it can. */
export function problemOf(password: string): string | undefined {
  // By code points: what people count.
  if ([...password].length < MIN_CHARACTERS) {
    return `A password has at least ${MIN_CHARACTERS} characters`;
  }
  if (new TextEncoder().encode(password).length > MAX_PASSWORD_BYTES) {
    return `A password has at most ${MAX_PASSWORD_BYTES} bytes`;
  }
  // A login with such a character is refused: JSON and terminals each treat it in a way of their own.
  if (/\p{Cc}|\p{Cs}|\ufffd/u.test(password)) return "A password has no control characters";
  return undefined;
}

async function typed(prompt: string): Promise<string> {
  try {
    return await read({ prompt, silent: true });
  } catch (cause) {
    throw new PasswordError("Stopped; nothing was changed", { cause });
  } finally {
    // The return that was typed wasn't shown either.
    console.log();
  }
}

async function firstLine(): Promise<string> {
  const text = await new Response(Deno.stdin.readable).text();
  return text.split(/\r?\n/, 1)[0] ?? "";
}
