import { LotlineError } from "./errors.ts";

interface Page {
  readonly next_cursor: string | null;
}

/** All pages from the first one on, each asked for when the one before has been used. */
export async function* pagesFrom<T>(
  cursor: string | undefined,
  read: (cursor: string | undefined) => Promise<T>,
  pageOf: (answer: T) => Page,
): AsyncGenerator<T, void, undefined> {
  for (let at = cursor;;) {
    const answer = await read(at);
    yield answer;
    const { next_cursor: next } = pageOf(answer);
    if (next === null) return;
    // For ever, otherwise.
    if (next === at) throw new LotlineError("unreadable", "A page names itself as the next one");
    at = next;
  }
}
