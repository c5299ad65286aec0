/** Does this ahead of the tests that need it, and ends the process with 1 when it fails. */
export async function ahead(ensure: () => Promise<unknown>): Promise<void> {
  try {
    await ensure();
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    Deno.exit(1);
  }
}
