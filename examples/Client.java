// One token in Java 17, a single file without any dependency: java Client.java
//
// Java has no JSON in its library. The few members needed are cut out of the text by name, which is enough to show the
// protocol and not enough for a product: take a JSON library there. The signature is verified with java.security.

import java.io.IOException;
import java.math.BigInteger;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Client {
    private final SocketChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).limit(0); // docs/reference/wire.md, "Limits"
    private int lastId = 0;

    Client(Path socket) throws IOException {
        channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket));
    }

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        Client daemon = new Client(socketPath());
        String session = daemon.call("session.open",
            "{\"protocol\": [1], \"client\": {\"name\": \"java\"}, \"language\": \"fr\"}");
        byte[] random = new byte[24];
        new SecureRandom().nextBytes(random);
        String nonce = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        String result = daemon.call("presentation.request",
            "{\"nonce\": \"" + nonce + "\", \"scopes\": [\"identity\"], \"timeout_ms\": 60000}");
        String claims = verified(text(result, "token"), session, nonce);
        // The holder's own entry is the one at `porteur`; with the scope `identity` the holder is alone.
        System.out.println(text(claims, "nom_usuel") + " " + text(claims, "prenom"));
        System.out.println("  token verified: ES256, key of the station, audience, nonce, expiry");
        System.out.println("  proof " + text(claims, "method") + ", verified: " + bare(claims, "verified")
            + ", origin: " + text(claims, "origin"));
        daemon.call("outbox.ack", "{\"jti\": [\"" + text(claims, "jti") + "\"]}");
    }

    static Path socketPath() throws IOException {
        String home = System.getenv("VITALE_READER_HOME");
        String runtime = System.getenv("XDG_RUNTIME_DIR");
        Path run = home != null ? Path.of(home, "run")
            : runtime != null ? Path.of(runtime, "vitale-reader")
            : Path.of(System.getProperty("user.home"), ".local/state/vitale-reader/run");
        return Path.of(text(Files.readString(run.resolve("endpoints.json")), "unix"));
    }

    // Sends one call, shows the progress, and returns the text of the answer to it.
    String call(String method, String params) throws IOException {
        int id = ++lastId;
        String request = "{\"jsonrpc\": \"2.0\", \"id\": " + id + ", \"method\": \"" + method + "\", \"params\": " + params + "}\n";
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(request);
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
        while (true) {
            String line = readLine();
            if (line.contains("\"presentation.progress\"")) {
                System.out.println(text(line, "message"));
            } else if (Pattern.compile("\"id\"\\s*:\\s*" + id + "\\b").matcher(line).find()) {
                if (line.contains("\"error\"")) {
                    System.err.println(text(line, "message") + " (" + text(line, "reason") + ")");
                    System.exit(1);
                }
                return line;
            }
        }
    }

    private String readLine() throws IOException {
        var line = new java.io.ByteArrayOutputStream();
        while (true) {
            while (buffer.hasRemaining()) {
                byte next = buffer.get();
                if (next == '\n') {
                    return line.toString(StandardCharsets.UTF_8);
                }
                line.write(next);
            }
            buffer.clear();
            if (channel.read(buffer) < 0) {
                throw new IOException("the daemon hung up");
            }
            buffer.flip();
        }
    }

    // Throws where the token is not what was asked for; returns what it says. A service would also remember `jti`.
    static String verified(String token, String session, String nonce) throws GeneralSecurityException {
        String[] parts = token.split("\\.");
        String header = decoded(parts[0]);
        check(text(header, "typ").equals("vitale-presence+jwt") && text(header, "alg").equals("ES256"), "not a token of this kind");
        Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
        signature.initVerify(key(session, text(header, "kid")));
        signature.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
        check(signature.verify(Base64.getUrlDecoder().decode(parts[2])), "the signature is wrong");
        String claims = decoded(parts[1]);
        check(text(claims, "aud").equals(text(session, "client_id")), "for somebody else");
        check(text(claims, "nonce").equals(nonce), "answers another nonce");
        check(Long.parseLong(bare(claims, "exp")) + 30 >= System.currentTimeMillis() / 1000, "expired");
        return claims;
    }

    // The key of this name among the station's, which are told at the opening of the session.
    static PublicKey key(String session, String kid) throws GeneralSecurityException {
        Matcher keys = Pattern.compile("\\{[^{}]*\"kty\"[^{}]*\\}").matcher(session);
        while (keys.find()) {
            if (text(keys.group(), "kid").equals(kid)) {
                AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
                curve.init(new ECGenParameterSpec("secp256r1"));
                ECPoint point = new ECPoint(coordinate(keys.group(), "x"), coordinate(keys.group(), "y"));
                return KeyFactory.getInstance("EC")
                    .generatePublic(new ECPublicKeySpec(point, curve.getParameterSpec(ECParameterSpec.class)));
            }
        }
        throw new GeneralSecurityException("signed with an unknown key");
    }

    static BigInteger coordinate(String jwk, String name) {
        return new BigInteger(1, Base64.getUrlDecoder().decode(text(jwk, name)));
    }

    static String decoded(String part) {
        return new String(Base64.getUrlDecoder().decode(part), StandardCharsets.UTF_8);
    }

    static void check(boolean holds, String otherwise) throws GeneralSecurityException {
        if (!holds) {
            throw new GeneralSecurityException(otherwise);
        }
    }

    static String text(String json, String name) {
        return cut(json, "\"" + name + "\"\\s*:\\s*\"((?:[^\"\\\\]++|\\\\.)*+)\"");
    }

    static String bare(String json, String name) {
        return cut(json, "\"" + name + "\"\\s*:\\s*([A-Za-z0-9.]+)");
    }

    private static String cut(String json, String pattern) {
        Matcher found = Pattern.compile(pattern).matcher(json);
        if (!found.find()) {
            throw new IllegalArgumentException("a member is missing");
        }
        return found.group(1);
    }
}
