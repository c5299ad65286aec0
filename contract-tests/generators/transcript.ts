/** What every program prints, whatever its language. */
export function transcriptOf(lotCode: string): string {
  return `login: admin@flowviz.com ADMIN
lot: ${lotCode} RAW 12.50 kg, Duna, pallets P-7 P-8
decision: PASS
trace: ${lotCode} 12.50 kg, 0 parents, 0 children
404: Lot not found
422: metadata is text that is not a JSON document
`;
}
