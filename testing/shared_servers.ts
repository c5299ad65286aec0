import { taskWords } from "../dev/task_command.ts";
import {
  type Major,
  newCluster,
  newClusterVariable,
  ownPostgres,
  sharedServerVariable,
} from "./postgres_servers.ts";

/** The V8 flags of a task's command, as a variable has them. */
function v8FlagsOf(task: string): string {
  const option = "--v8-flags=";
  return taskWords(task).find((word) => word.startsWith(option))?.slice(option.length) ?? "";
}

/** Starts a server; disposing ends it. The tests' variables name it and the files of a new one. */
async function startShared(major: Major) {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await newCluster(major));
  const { server } = stack.use(await ownPostgres(major, { files: cluster.path }));
  const parts = stack.move();
  return {
    env: {
      [sharedServerVariable(major)]: server.url,
      [newClusterVariable(major)]: cluster.path,
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/**
 * Starts the PostgreSQL servers that all tests of a run share, so that files don't start their own.
 * They end with the action, which gets the tests' variables: the servers' addresses, the files of new
 * ones and V8's flags.
 *
 * V8 uses code that a process has compiled only in others with the same flags. With those of the
 * API, no start of another process compiles again what the API's had compiled, and the reverse.
 */
export async function withSharedServers<Result>(
  action: (env: Record<string, string>) => Promise<Result>,
): Promise<Result> {
  console.log("Starting PostgreSQL 17 and 15 for the tests …");
  await using seventeen = await startShared(17);
  await using fifteen = await startShared(15);
  return await action({
    ...seventeen.env,
    ...fifteen.env,
    DENO_V8_FLAGS: v8FlagsOf("start"),
  });
}
