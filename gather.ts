import { setImmediate } from "node:timers";

/** What was asked, and the place of the asker's key in it. */
export interface Gathered<Answer> {
  readonly answer: Answer;
  readonly place: number;
}

/**
 * Asks for keys together: for those that come in one turn of the event loop and, while enough
 * questions are under way, for those that come until one of them is over. A question to another
 * process costs about the same for one key and for ten, so a busy process asks seldom for much, and
 * an idle one keeps nobody waiting. Nothing is answered with what was read before it was asked for.
 *
 * @param ask gets keys, some may be the same; what it throws, all who asked get
 * @param atOnce so many questions are under way at most
 * @param most so many keys are in one question at most
 */
export function gather<Key, Answer>(
  ask: (keys: readonly Key[]) => Promise<Answer>,
  { atOnce, most }: { readonly atOnce: number; readonly most: number },
): (key: Key) => Promise<Gathered<Answer>> {
  interface Asker {
    readonly key: Key;
    resolve(gathered: Gathered<Answer>): void;
    reject(error: unknown): void;
  }
  const waiting: Asker[] = [];
  let underWay = 0;
  let isGathering = false;

  const begin = () => {
    if (isGathering || underWay === atOnce || waiting.length === 0) return;
    isGathering = true;
    setImmediate(() => {
      isGathering = false;
      void askTogether(waiting.splice(0, most));
      begin();
    });
  };
  const askTogether = async (askers: readonly Asker[]) => {
    underWay++;
    try {
      const answer = await ask(askers.map(({ key }) => key));
      askers.forEach(({ resolve }, place) => resolve({ answer, place }));
    } catch (error) {
      for (const { reject } of askers) reject(error);
    }
    underWay--;
    begin();
  };
  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      begin();
    });
}
