import { setImmediate } from "node:timers";

/** What was asked, and the place of the asker's key in it. */
export interface Gathered<Answer> {
  readonly answer: Answer;
  readonly place: number;
}

/** What is gathered. */
export interface GatherBounds {
  /** So many quick questions are under way at most. */
  readonly atOnce: number;
  /** So many keys are in one question at most. */
  readonly most: number;
  /**
   * A question that takes longer, in ms, or at most twice as long, isn't waited for: slow ones must not
   * hold up the others.
   */
  readonly quickMs: number;
}

/**
 * Asks for keys together: for those that come in one turn of the event loop and, while enough
 * questions are under way, for those that come until one of them is over. A question to another
 * process costs about the same for one key and for ten, so a busy process asks seldom for much, and
 * an idle one keeps nobody waiting. Nothing is answered with what was read before it was asked for.
 *
 * @param ask gets keys, some may be the same; what it throws, all who asked get
 */
export function gather<Key, Answer>(
  ask: (keys: readonly Key[]) => Promise<Answer>,
  { atOnce, most, quickMs }: GatherBounds,
): (key: Key) => Promise<Gathered<Answer>> {
  interface Asker {
    readonly key: Key;
    resolve(gathered: Gathered<Answer>): void;
    reject(error: unknown): void;
  }
  const waiting: Asker[] = [];
  /** The quick ones of the questions under way, by when they were asked. */
  const quick: { readonly askedAt: number }[] = [];
  let isGathering = false;
  let isWatching = false;

  const begin = () => {
    if (isGathering || waiting.length === 0) return;
    if (quick.length === atOnce) {
      watch();
      return;
    }
    isGathering = true;
    setImmediate(() => {
      isGathering = false;
      void askTogether(waiting.splice(0, most));
      begin();
    });
  };
  const watch = () => {
    if (isWatching) return;
    isWatching = true;
    setTimeout(() => {
      isWatching = false;
      const slowest = performance.now() - quickMs;
      while (quick[0] !== undefined && quick[0].askedAt <= slowest) quick.shift();
      begin();
    }, quickMs);
  };
  const askTogether = async (askers: readonly Asker[]) => {
    const question = { askedAt: performance.now() };
    quick.push(question);
    try {
      const answer = await ask(askers.map(({ key }) => key));
      askers.forEach(({ resolve }, place) => resolve({ answer, place }));
    } catch (error) {
      for (const { reject } of askers) reject(error);
    }
    const place = quick.indexOf(question);
    if (place !== -1) quick.splice(place, 1);
    begin();
  };
  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      begin();
    });
}
