import { basename, dirname, isAbsolute, join, resolve } from "node:path";

/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * The path that a chain of symbolic links ends at, whether or not something is there. A file that is
 * replaced by renaming another onto it needs this path: renamed onto a link, it replaces the link.
 *
 * @throws {Deno.errors.FilesystemLoop} when the links lead back to themselves
 */
export async function linkTarget(path: string): Promise<string> {
  let at = path;
  for (let followed = 0; followed <= MAX_LINKS; followed++) {
    // `..` goes up from where a folder really is, which only the system knows.
    const folder = await Deno.realPath(dirname(at)).catch(() => resolve(dirname(at)));
    const end = join(folder, basename(at));
    const isLink = await Deno.lstat(end).then(({ isSymlink }) => isSymlink, () => false);
    if (!isLink) return end;
    const target = await Deno.readLink(end);
    at = isAbsolute(target) ? target : `${folder}/${target}`;
  }
  throw new Deno.errors.FilesystemLoop(`the links of ${path} lead back to themselves`);
}
