import { join } from "node:path";

/**
 * Writes a file as Kubernetes mounts a secret's: owner and group can read it, its name is a link
 * through the link `..data` to a folder of this version, and that folder is never changed. Returns
 * the path that a setting names.
 */
export async function mountSecret(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<string> {
  await swapMounted(folder, name, content);
  await Deno.symlink(join("..data", name), join(folder, name));
  return join(folder, name);
}

/**
 * Replaces a mounted secret as Kubernetes does: it writes a new folder, swaps the link `..data` to it
 * in one step, and removes the old one.
 */
export async function swapMounted(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  const version = `..2026_01_01_00_00_00.${crypto.randomUUID()}`;
  const before = await Deno.readLink(join(folder, "..data")).catch(() => undefined);
  await Deno.mkdir(join(folder, version));
  const path = join(folder, version, name);
  await Deno.writeFile(
    path,
    typeof content === "string" ? new TextEncoder().encode(content) : content,
  );
  await Deno.chmod(path, 0o440);
  // As with fsGroup: the file is root's, and its group the process's.
  if (Deno.uid() === 0) await Deno.chown(path, 65_534, Deno.gid());
  await Deno.symlink(version, join(folder, "..data_tmp"));
  await Deno.rename(join(folder, "..data_tmp"), join(folder, "..data"));
  if (before !== undefined) await Deno.remove(join(folder, before), { recursive: true });
}
