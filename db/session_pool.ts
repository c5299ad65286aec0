import type { Session } from "./session.ts";

/** Sessions that are used again: a new one takes 15 ms to warm up. Disposing closes idle ones. */
export interface SessionPool extends AsyncDisposable {
  /**
   * Does some work on a session that nobody else uses meanwhile. When the work fails, the session and
   * all idle ones are closed, since the cause may concern them too.
   */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/**
 * @param open opens a session, which calls `onEnd` when it has ended
 * @param idleMs an idle session is closed after this long, since the network may drop it silently
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
    // The one that was used last: its caches are warm, and surplus ones stay idle until they close.
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
