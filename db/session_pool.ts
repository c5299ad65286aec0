import { showPool } from "./pool_metrics.ts";
import { onWrongServer } from "./servers.ts";
import type { Session } from "./session.ts";

/**
 * Sessions that are used again: a new one takes 15 ms to warm up. Disposing closes idle ones, and the
 * others after their use.
 */
export interface SessionPool<S = Session> extends AsyncDisposable {
  /**
   * Does some work on a session that nobody else uses meanwhile. When the work fails, the session and
   * all idle ones are closed, since the cause may concern them too.
   */
  use<T>(work: (session: S) => Promise<T>): Promise<T>;
}

/**
 * @param open opens a session, which calls `onEnd` when it has ended
 * @param idleMs an idle session is closed after this long, since the network may drop it silently
 * @param address when its sessions leave their server, idle ones are closed at once, others after use
 * @param shown shows them in the metrics by the `application_name` of their connections
 */
export function createSessionPool<S extends AsyncDisposable = Session>(
  open: (onEnd: () => void) => S,
  idleMs: number,
  address: string,
  shown?: { readonly name: string },
): SessionPool<S> {
  const idle = new Map<S, ReturnType<typeof setTimeout>>();
  const closed = new WeakSet<S>();
  let isDisposed = false;
  let departures = 0;
  let inUse = 0;
  const showing = shown && showPool(shown.name, () => ({ inUse, idle: idle.size }));

  const remove = (session: S) => {
    clearTimeout(idle.get(session));
    idle.delete(session);
  };
  const close = (session: S) => {
    remove(session);
    return session[Symbol.asyncDispose]();
  };
  const acquire = (): S => {
    // The one that was used last: its caches are warm, and surplus ones stay idle until they close.
    const last = [...idle.keys()].at(-1);
    if (last !== undefined) {
      remove(last);
      return last;
    }
    const opened: S = open(() => {
      closed.add(opened);
      remove(opened);
    });
    return opened;
  };
  const departing = onWrongServer(address, () => {
    departures++;
    for (const session of [...idle.keys()]) void close(session);
  });

  return {
    async use(work) {
      const session = acquire();
      const before = departures;
      inUse++;
      try {
        const result = await work(session);
        if (isDisposed || departures !== before) void close(session);
        else if (!closed.has(session)) idle.set(session, setTimeout(() => close(session), idleMs));
        return result;
      } catch (error) {
        for (const one of [session, ...idle.keys()]) void close(one);
        throw error;
      } finally {
        inUse--;
      }
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      departing[Symbol.dispose]();
      showing?.[Symbol.dispose]();
      await Promise.all([...idle.keys()].map(close));
    },
  };
}
