/** The row of a statement that always returns one. */
export function oneRow<Row>([row]: readonly Row[]): Row {
  if (row === undefined) throw new Error("a statement returned no row");
  return row;
}
