/** The values of a list that is written as one text, with a broken bar between them. */
export function listed(text: string): [string, ...string[]] {
  const [first = "", ...rest] = text.split("¦");
  return [first, ...rest];
}
