/**
 * The most bytes of an answer that are compared value by value: an answer shows the body of its request
 * and some more. Comparing two of 1 MB holds up a process for about 0.1 s.
 */
export function responseBytesOf(bodyBytes: number): number {
  return Math.max(bodyBytes, 1_048_576) + 262_144;
}

/** What exchanges that are compared may take up: an exchange of the greatest size always fits. */
export function comparedBytesOf(bodyBytes: number): number {
  return Math.max(67_108_864, 8 * bodyBytes);
}
