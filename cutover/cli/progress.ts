/** How often a long command reports its progress, in ms. */
const EVERY_MS = 5_000;

/**
 * Reports how many of some things are done: at the first one, and then at most every {@link EVERY_MS}.
 *
 * @param what such as `requests`
 * @returns to be called with the number that is done
 */
export function startProgress(
  print: (line: string) => void,
  total: number,
  what: string,
  now: () => number = () => performance.now(),
): (done: number) => void {
  const began = now();
  let reportedAt = began - EVERY_MS;
  return (done) => {
    if (done === 0 || done >= total || now() < reportedAt + EVERY_MS) return;
    reportedAt = now();
    const leftS = Math.round((reportedAt - began) / done * (total - done) / 1_000);
    const left = done === 1 ? "" : `, about ${leftS} s to go`;
    print(`${done} of ${total} ${what} (${Math.floor(done / total * 100)} %)${left}`);
  };
}
