/**
 * The steps of the cutover book, docs/cutover.md, which is the only place that has them: the practice
 * prints them with the values of a short one.
 */

/** A section of the book with commands to type. */
export interface BookStep {
  readonly title: string;
  readonly commands: readonly string[];
}

const BOOK = new URL("../../docs/cutover.md", import.meta.url);

/** What a plant takes hours for, a practice does in minutes. */
const SHORT: readonly (readonly [RegExp, string])[] = [
  [/--soak \d+/, "--soak 0.5"],
  [/--samples \d+/, "--samples 100"],
];

/** Each section of the book that has commands of the cutover, in order. */
export async function readBookSteps(): Promise<BookStep[]> {
  return bookSteps(await Deno.readTextFile(BOOK));
}

/** The same of a text. */
export function bookSteps(page: string): BookStep[] {
  return page.split(/^## /m).slice(1).map((section) => ({
    title: section.slice(0, section.indexOf("\n")),
    commands: [...section.matchAll(/^```sh\n([^]*?)^```/gm)]
      .flatMap(([, block = ""]) => block.split("\n"))
      // The practice has exported the settings that stand before a command.
      .map((line) => line.replace(/^(?:[A-Z_]+=\S+ )+/, "").replace(/ +#.*$/, ""))
      .filter((line) => line.startsWith("deno task cutover ")),
  })).filter(({ commands }) => commands.length > 0);
}

/** The book's steps with the values of a practice. */
export function practiceSteps(steps: readonly BookStep[]): BookStep[] {
  const shorten = (command: string) =>
    SHORT.reduce((text, [pattern, value]) => text.replace(pattern, value), command);
  return steps.map(({ title, commands }) => ({ title, commands: commands.map(shorten) }));
}
