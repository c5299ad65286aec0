/**
 * The largest response body that is compared value by value, in bytes: a response repeats the body of
 * its request and adds fields. Comparing two bodies of 1 MB blocks the process for about 0.1 s.
 */
export function responseBytesOf(bodyBytes: number): number {
  return Math.max(bodyBytes, 1_048_576) + 262_144;
}

/** The memory for exchanges that are compared, in bytes: the largest exchange always fits. */
export function comparedBytesOf(bodyBytes: number): number {
  return Math.max(67_108_864, 8 * bodyBytes);
}
