import type { Session } from "./session.ts";

/** Sessions that stay open for the next one who needs one: a new one takes 15 ms to warm up. */
export interface SessionPool extends AsyncDisposable {
  /**
   * Does some work on a session that nobody else has meanwhile. When the work fails the session is
   * closed and with it those that are idle: whatever has happened to it may have happened to them.
   */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/**
 * Keeps sessions. Disposing closes those that are idle.
 *
 * @param open opens a session, which says when it has ended
 * @param idleMs an idle session is closed after this long, in ms: a network may have forgotten it
 * without telling anybody
 */
export function createSessionPool(
  open: (onEnd: () => void) => Session,
  idleMs: number,
): SessionPool {
  const idle = new Map<Session, ReturnType<typeof setTimeout>>();
  const closed = new WeakSet<Session>();

  const remove = (session: Session) => {
    clearTimeout(idle.get(session));
    idle.delete(session);
  };
  const close = (session: Session) => {
    remove(session);
    return session[Symbol.asyncDispose]();
  };
  const acquire = (): Session => {
    // The one that was used last: its caches are warm, and the others may go when they are too many.
    const last = [...idle.keys()].at(-1);
    if (last !== undefined) {
      remove(last);
      return last;
    }
    const opened: Session = open(() => {
      closed.add(opened);
      remove(opened);
    });
    return opened;
  };

  return {
    async use(work) {
      const session = acquire();
      try {
        const result = await work(session);
        if (!closed.has(session)) idle.set(session, setTimeout(() => close(session), idleMs));
        return result;
      } catch (error) {
        for (const one of [session, ...idle.keys()]) void close(one);
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...idle.keys()].map(close));
    },
  };
}
