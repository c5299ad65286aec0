/** The process can't listen on its address; the message says why. */
export class ListenError extends Error {
  override name = "ListenError";
}

/**
 * Runs what opens a server.
 *
 * @param setting the one with the port
 * @throws {ListenError} the address is in use, or can't be used
 */
export function listening<Server>(
  { hostname, port, setting }: {
    readonly hostname: string;
    readonly port: number;
    readonly setting: string;
  },
  open: () => Server,
): Server {
  try {
    return open();
  } catch (cause) {
    const place = `port ${port} of ${hostname}`;
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new ListenError(
        `Another process has ${place}: end it, or set ${setting} to another port`,
        { cause },
      );
    }
    if (cause instanceof Deno.errors.AddrNotAvailable) {
      throw new ListenError(`This machine has no address ${hostname}: check HOST`, { cause });
    }
    if (cause instanceof Deno.errors.PermissionDenied) {
      throw new ListenError(
        `The operating system refuses ${place} to this user: set ${setting} to one from 1024 on`,
        { cause },
      );
    }
    throw cause;
  }
}
