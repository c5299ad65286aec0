import { LotlineError } from "./errors.ts";

interface Page {
  readonly next_cursor: string | null;
}

/** All pages from the first one on, each asked for when the one before has been used. */
export async function* pagesFrom<T>(
  cursor: string | undefined,
  read: (cursor: string | undefined) => Promise<T>,
  pageOf: (response: T) => Page,
): AsyncGenerator<T, void, undefined> {
  for (let at = cursor;;) {
    const response = await read(at);
    yield response;
    const { next_cursor: next } = pageOf(response);
    if (next === null) return;
    // For ever, otherwise.
    if (next === at) throw new LotlineError("unreadable", "A page names itself as the next one");
    at = next;
  }
}
