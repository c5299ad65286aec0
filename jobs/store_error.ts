const NAME = "StoreError";

/** An error of the primary while a task reads the replica. Its cause has the code. */
export class StoreError extends Error {
  override name = NAME;
}

/** Whether an error is a {@link StoreError}, also one that has come from a thread as plain data. */
export const isStoreError = (error: unknown): error is Error =>
  error instanceof Error && error.name === NAME;
