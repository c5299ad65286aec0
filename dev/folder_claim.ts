/**
 * Claims a server's folder until the returned handle is disposed or this process ends, however it
 * ends. The claim is a lock on the file `<folder>.lock`, which stays.
 *
 * @throws Error when another process (or another server of this one) has claimed the folder
 */
export async function claimFolder(folder: string): Promise<Disposable> {
  const file = await Deno.open(`${folder}.lock`, { write: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new Error(`The folder ${folder} is in use by another running process`);
}
