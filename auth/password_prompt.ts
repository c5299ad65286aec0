import { read } from "read";
import { RefusedError } from "../command_line.ts";
import { MAX_PASSWORD_BYTES } from "./typed_password.ts";

/** NIST SP 800-63B. */
const MIN_CHARACTERS = 8;

/**
 * Reads a new password: typed twice and hidden at a terminal, otherwise the first line of standard
 * input. It is composed (NFC), whatever the keyboard sends; a login tries that form too.
 *
 * @param whose the account that the prompt names
 * @throws {RefusedError} too short, too long, or not the same twice
 */
export async function promptPassword(whose: string): Promise<string> {
  const isTerminal = Deno.stdin.isTerminal();
  const password = (isTerminal ? await typed(`New password of ${whose}:`) : await firstLine())
    .normalize("NFC");
  const problem = problemOf(password);
  if (problem !== undefined) throw new RefusedError(problem);
  if (isTerminal && (await typed("Once more:")).normalize("NFC") !== password) {
    throw new RefusedError("The two are not the same; nothing was changed");
  }
  return password;
}

/** Why a password is refused; undefined when it is accepted. */
function problemOf(password: string): string | undefined {
  // Code points, which is what people count.
  if ([...password].length < MIN_CHARACTERS) {
    return `A password has at least ${MIN_CHARACTERS} characters`;
  }
  if (new TextEncoder().encode(password).length > MAX_PASSWORD_BYTES) {
    return `A password has at most ${MAX_PASSWORD_BYTES} bytes`;
  }
  // JSON and terminals each treat these characters in their own way, and a login with them is
  // refused.
  if (/\p{Cc}|\p{Cs}|\ufffd/u.test(password)) return "A password has no control characters";
  return undefined;
}

async function typed(prompt: string): Promise<string> {
  try {
    return await read({ prompt, silent: true });
  } catch (cause) {
    throw new RefusedError("Stopped; nothing was changed", { cause });
  } finally {
    // The prompt hides the typed line break too.
    console.log();
  }
}

async function firstLine(): Promise<string> {
  const text = await new Response(Deno.stdin.readable).text();
  return text.split(/\r?\n/, 1)[0] ?? "";
}
