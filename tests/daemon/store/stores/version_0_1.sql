-- The store as version 0.1 made it: `.dump` of the file that its daemon left behind.
BEGIN TRANSACTION;
CREATE TABLE audit (
	id INTEGER NOT NULL,
	at FLOAT NOT NULL,
	client_id VARCHAR(100),
	action VARCHAR(50) NOT NULL,
	outcome VARCHAR(50) NOT NULL,
	medium VARCHAR(30),
	reader VARCHAR(200),
	jti VARCHAR(36),
	PRIMARY KEY (id)
);
CREATE TABLE clients (
	client_id VARCHAR(100) NOT NULL,
	name VARCHAR(100) NOT NULL,
	scopes VARCHAR(500) NOT NULL,
	transports VARCHAR(200) NOT NULL,
	origins VARCHAR(10000) NOT NULL,
	certificate_sha256 VARCHAR(64),
	credential_sha256 VARCHAR(64),
	created_at FLOAT NOT NULL,
	revoked_at FLOAT,
	PRIMARY KEY (client_id),
	UNIQUE (certificate_sha256),
	UNIQUE (credential_sha256)
);
CREATE TABLE contexts (
	digest VARCHAR(64) NOT NULL,
	client_id VARCHAR(100) NOT NULL,
	notice_at FLOAT NOT NULL,
	noticed BOOLEAN NOT NULL,
	ends_at FLOAT NOT NULL,
	sealed BLOB NOT NULL,
	PRIMARY KEY (digest)
);
CREATE TABLE outbox (
	jti VARCHAR(36) NOT NULL,
	client_id VARCHAR(100) NOT NULL,
	presentation VARCHAR(36) NOT NULL,
	exp INTEGER NOT NULL,
	sealed BLOB NOT NULL,
	PRIMARY KEY (jti),
	UNIQUE (presentation, client_id)
);
CREATE TABLE seen (
	digest VARCHAR(64) NOT NULL,
	state VARCHAR(10) NOT NULL,
	expires_at FLOAT NOT NULL,
	PRIMARY KEY (digest)
);
CREATE INDEX outbox_client ON outbox (client_id, exp);
CREATE INDEX outbox_exp ON outbox (exp);
CREATE INDEX seen_expires_at ON seen (expires_at);
CREATE INDEX contexts_ends_at ON contexts (ends_at);
CREATE INDEX audit_at ON audit (at);
COMMIT;
