/** With commas between the thousands, in every locale. */
export const number = (value: number) => value.toLocaleString("en-US");

export function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${number(part)} (${(100 * part / whole).toFixed(2)} %)`;
}

export const milliseconds = (ms: number | undefined) => ms === undefined ? "–" : `${ms} ms`;
