import { taskWords } from "../dev/task_command.ts";
import { ownPostgres, sharedServerVariable } from "./postgres_servers.ts";

/** The V8 flags of a task's command, as a variable has them. */
function v8FlagsOf(task: string): string {
  const option = "--v8-flags=";
  return taskWords(task).find((word) => word.startsWith(option))?.slice(option.length) ?? "";
}

/**
 * Starts the PostgreSQL servers that all tests of a run share, so that files don't start their own.
 * They end with the action, which gets the tests' variables: the servers' addresses and V8's flags.
 *
 * V8 uses code that a process has compiled only in others with the same flags. With those of the
 * API, no start of another process compiles again what the API's had compiled, and the reverse.
 */
export async function withSharedServers<Result>(
  action: (env: Record<string, string>) => Promise<Result>,
): Promise<Result> {
  console.log("Starting PostgreSQL 17 and 15 for the tests …");
  await using seventeen = await ownPostgres(17);
  await using fifteen = await ownPostgres(15);
  return await action({
    [sharedServerVariable(17)]: seventeen.server.url,
    [sharedServerVariable(15)]: fifteen.server.url,
    DENO_V8_FLAGS: v8FlagsOf("start"),
  });
}
