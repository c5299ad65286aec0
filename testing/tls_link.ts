import net from "node:net";
import tls from "node:tls";
import { temporaryFolder } from "./temporary_folder.ts";
import { listen } from "./test_server.ts";

/** A server with TLS in front of one without. Disposing ends its connections. */
export interface TlsLink extends AsyncDisposable {
  readonly port: number;
  /** The path of the certificate that signed the server's. */
  readonly caFile: string;
}

/**
 * Starts it before a port of this machine.
 *
 * @param subject what its certificate is for, such as `IP:127.0.0.1` or `DNS:localhost`
 */
export async function openTlsLink(target: number, subject: string): Promise<TlsLink> {
  const folder = await temporaryFolder();
  const { caFile, cert, key } = await makeCertificates(folder.path, subject);
  const sockets = new Set<net.Socket>();
  const server = tls.createServer({ cert, key }, (client) => {
    const upstream = net.connect(target, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  return {
    port: await listen(server),
    caFile,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A certificate for the subject, and the one that signed it. */
async function makeCertificates(folder: string, subject: string) {
  const caFile = `${folder}/ca.crt`;
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const newKey = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  await openssl(
    ...[...newKey, "-subj", "/CN=Lotline's test CA", "-keyout", "ca.key", "-out", "ca.crt"],
  );
  await openssl(
    ...[...newKey, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "server.key"],
    ...["-out", "server.crt", "-subj", "/CN=server", "-addext", `subjectAltName=${subject}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
  );
  const [cert, key] = await Promise.all(
    ["server.crt", "server.key"].map((name) => Deno.readTextFile(`${folder}/${name}`)),
  );
  return { caFile, cert, key };
}
