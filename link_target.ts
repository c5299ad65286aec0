import { basename, dirname, isAbsolute, join, resolve } from "node:path";

/** The limit of Linux. */
const MAX_LINKS = 40;

/**
 * The end of a chain of symbolic links, whether or not a file is there. Renaming a file onto a link
 * replaces the link, so an atomic replacement needs this path.
 *
 * @throws {Deno.errors.FilesystemLoop} the links form a loop
 */
export async function linkTarget(path: string): Promise<string> {
  let at = path;
  for (let followed = 0; followed <= MAX_LINKS; followed++) {
    // `..` starts at the folder's real path, which only the system knows.
    const folder = await Deno.realPath(dirname(at)).catch(() => resolve(dirname(at)));
    const end = join(folder, basename(at));
    const isLink = await Deno.lstat(end).then(({ isSymlink }) => isSymlink, () => false);
    if (!isLink) return end;
    const target = await Deno.readLink(end);
    at = isAbsolute(target) ? target : `${folder}/${target}`;
  }
  throw new Deno.errors.FilesystemLoop(`the links of ${path} lead back to themselves`);
}
