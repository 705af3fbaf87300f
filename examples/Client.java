// One token in Java 17, a single file without any dependency.
//
// Run it as `java Client.java` for the daemon's Unix socket, or as `java Client.java PAIRING.json` for TLS with the file
// that `vitale-reader clients add` wrote.
//
// Java has no JSON in its library. The few members needed are cut out of the text by name, which is enough to show the
// protocol and not enough for a product: take a JSON library there. The signature is verified with java.security.

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigInteger;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

public class Client {
    private final InputStream input;
    private final OutputStream output;
    private int lastId = 0;

    Client(InputStream input, OutputStream output) {
        this.input = new BufferedInputStream(input);
        this.output = output;
    }

    public static void main(String[] arguments) {
        try {
            read(arguments.length > 0 ? overTls(Files.readString(Path.of(arguments[0]))) : overUnix());
        } catch (NoSuchFileException | SocketException error) {
            System.err.println("No daemon answers: start one with `vitale-reader serve`. (" + error.getMessage() + ")");
            System.exit(1);
        } catch (IOException | GeneralSecurityException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }

    static void read(Client daemon) throws IOException, GeneralSecurityException {
        String session = daemon.call("session.open",
            "{\"protocol\": [1], \"client\": {\"name\": \"java\"}, \"language\": \"fr\"}");
        byte[] random = new byte[24];
        new SecureRandom().nextBytes(random);
        String nonce = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        String result = daemon.call("presentation.request",
            "{\"nonce\": \"" + nonce + "\", \"scopes\": [\"identity\"], \"timeout_ms\": 60000}");
        String claims = verified(text(result, "token"), session, nonce);
        // With the scope `identity` the holder is alone. A phone's code names nobody until the apCV service has answered.
        System.out.println(has(claims, "nom_usuel") ? text(claims, "nom_usuel") + " " + text(claims, "prenom") : "nobody is named");
        System.out.println("  token verified: ES256, key of the station, audience, nonce, expiry");
        System.out.println("  proof " + text(claims, "method") + ", verified: " + bare(claims, "verified")
            + ", origin: " + text(claims, "origin"));
        daemon.call("outbox.ack", "{\"jti\": [\"" + text(claims, "jti") + "\"]}");
    }

    static Client overUnix() throws IOException {
        String home = System.getenv("VITALE_READER_HOME");
        String runtime = System.getenv("XDG_RUNTIME_DIR");
        Path run = home != null ? Path.of(home, "run")
            : runtime != null ? Path.of(runtime, "vitale-reader")
            : Path.of(System.getProperty("user.home"), ".local/state/vitale-reader/run");
        String endpoints = Files.readString(run.resolve("endpoints.json"));
        if (!has(endpoints, "unix")) {
            throw new IOException("The daemon has no Unix socket here: name a pairing file, for TLS.");
        }
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(text(endpoints, "unix")));
        return new Client(Channels.newInputStream(channel), Channels.newOutputStream(channel));
    }

    // The handshake fails, before anything is said, where the certificate is not the one of the pairing.
    static Client overTls(String pairing) throws IOException, GeneralSecurityException {
        String pin = text(pairing, "daemon_certificate_sha256").replace(":", "").toLowerCase();
        TrustManager onlyThisDaemon = new X509TrustManager() {
            public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
                try {
                    byte[] digest = MessageDigest.getInstance("SHA-256").digest(chain[0].getEncoded());
                    if (HexFormat.of().formatHex(digest).equals(pin)) {
                        return;
                    }
                } catch (GeneralSecurityException error) {
                    throw new CertificateException(error);
                }
                throw new CertificateException("This is not the daemon of the pairing: another program holds its port.");
            }

            public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
                throw new CertificateException("this is a client");
            }

            public X509Certificate[] getAcceptedIssuers() {
                return new X509Certificate[0];
            }
        };
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(ownKey(pairing).getKeyManagers(), new TrustManager[] {onlyThisDaemon}, null);
        URI address = URI.create(text(pairing, "address"));
        String host = address.getHost().replaceAll("^\\[|\\]$", "");
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(host, address.getPort());
        socket.setEnabledProtocols(new String[] {"TLSv1.3"});
        socket.startHandshake();
        return new Client(socket.getInputStream(), socket.getOutputStream());
    }

    // The client's certificate and key, both PEM in the pairing.
    static KeyManagerFactory ownKey(String pairing) throws IOException, GeneralSecurityException {
        Certificate certificate = CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(text(pairing, "certificate").getBytes(StandardCharsets.US_ASCII)));
        String key = text(pairing, "private_key").replaceAll("-----[A-Z ]+-----|\\s", "");
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("client",
            KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(key))),
            new char[0], new Certificate[] {certificate});
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, new char[0]);
        return keys;
    }

    // Sends one call, shows the progress, and returns the text of the answer to it.
    String call(String method, String params) throws IOException {
        int id = ++lastId;
        String request = "{\"jsonrpc\": \"2.0\", \"id\": " + id + ", \"method\": \"" + method + "\", \"params\": " + params + "}\n";
        output.write(request.getBytes(StandardCharsets.UTF_8));
        output.flush();
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
        var line = new ByteArrayOutputStream();
        for (int next = input.read(); next != '\n'; next = input.read()) {
            if (next < 0) {
                throw new IOException("The daemon hung up.");
            }
            line.write(next);
        }
        return line.toString(StandardCharsets.UTF_8);
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

    static boolean has(String json, String name) {
        return Pattern.compile("\"" + name + "\"\\s*:\\s*\"").matcher(json).find();
    }

    static String text(String json, String name) {
        String escaped = cut(json, "\"" + name + "\"\\s*:\\s*\"((?:[^\"\\\\]++|\\\\.)*+)\"");
        return escaped.replace("\\n", "\n").replace("\\/", "/").replace("\\\"", "\"");
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
