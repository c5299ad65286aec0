/** The values of a list in one text, separated by broken bars. */
export function listed(text: string): [string, ...string[]] {
  const [first = "", ...rest] = text.split("¦");
  return [first, ...rest];
}
