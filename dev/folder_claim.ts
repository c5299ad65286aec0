/** Another process, or another server of this one, has claimed the folder. */
export class FolderTakenError extends Error {
  override name = "FolderTakenError";
}

/**
 * Claims a server's folder until the returned handle is disposed or this process ends, however it
 * ends. The claim is a lock on the file `<folder>.lock`, which stays.
 *
 * @throws {FolderTakenError} when another process (or another server of this one) has claimed it
 */
export async function claimFolder(folder: string): Promise<Disposable> {
  const file = await Deno.open(`${folder}.lock`, { write: true, create: true });
  if (!await file.tryLock(true)) {
    file.close();
    throw new FolderTakenError(`The folder ${folder} is in use by another running process`);
  }
  return {
    [Symbol.dispose]() {
      // Closing isn't enough. A process that another thread is just starting has a copy of the file
      // until its program is loaded, and so holds the lock.
      file.unlockSync();
      file.close();
    },
  };
}
