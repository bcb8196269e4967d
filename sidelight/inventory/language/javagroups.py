"""Maven groups of well-known artefacts whose jars do not carry their own coordinates.

Builds made with Gradle and Ant put no pom.properties into a jar (all of Spring's, Kotlin's and
Kafka's), and their manifests name packages and not groups. Advisories are by group and artefact, so
these names are written down here; they are facts of Maven Central's index.
"""

from __future__ import annotations

import re
from typing import Final

_MAJOR: Final = re.compile(r"[0-9]{1,6}")

# A group, or (major version, the group from that version on) in ascending order.
_Group = str | tuple[tuple[int, str], ...]

_SPRING: Final = """
    spring-aop spring-aspects spring-beans spring-context spring-context-indexer
    spring-context-support spring-core spring-expression spring-instrument spring-jcl spring-jdbc
    spring-jms spring-messaging spring-orm spring-oxm spring-test spring-tx spring-web
    spring-webflux spring-webmvc spring-websocket
"""
# The first Jakarta Commons and their contemporaries: the group is the artefact.
_OWN_GROUP: Final = """
    commons-beanutils commons-chain commons-cli commons-codec commons-collections
    commons-configuration commons-dbcp commons-digester commons-discovery commons-el
    commons-fileupload commons-httpclient commons-io commons-jelly commons-jxpath commons-lang
    commons-logging commons-modeler commons-net commons-pool commons-validator log4j junit
"""

_EXACT: Final[dict[str, _Group]] = {
    **dict.fromkeys(_SPRING.split(), "org.springframework"),
    **{name: name for name in _OWN_GROUP.split()},
    "RoaringBitmap": "org.roaringbitmap",
    "ant": "org.apache.ant",
    "asm": "org.ow2.asm",
    "bsh": "org.apache-extras.beanshell",
    "c3p0": "com.mchange",
    "caffeine": "com.github.ben-manes.caffeine",
    "checker-qual": "org.checkerframework",
    "derby": "org.apache.derby",
    "dom4j": ((0, "dom4j"), (2, "org.dom4j")),
    "elasticsearch": "org.elasticsearch",
    "freemarker": "org.freemarker",
    "ecj": "org.eclipse.jdt",
    "gson": "com.google.code.gson",
    "guava": "com.google.guava",
    "groovy": ((0, "org.codehaus.groovy"), (4, "org.apache.groovy")),
    "groovy-all": ((0, "org.codehaus.groovy"), (4, "org.apache.groovy")),
    "guice": "com.google.inject",
    "h2": "com.h2database",
    "hibernate-core": ((0, "org.hibernate"), (6, "org.hibernate.orm")),
    "hibernate-entitymanager": "org.hibernate",
    "hsqldb": "org.hsqldb",
    "jcl-over-slf4j": "org.slf4j",
    "jul-to-slf4j": "org.slf4j",
    "log4j-over-slf4j": "org.slf4j",
    "osgi-over-slf4j": "org.slf4j",
    "pdfbox": "org.apache.pdfbox",
    "serializer": "xalan",
    "jcip-annotations": "net.jcip",
    "jdom": "org.jdom",
    "jdom2": "org.jdom",
    "jna": "net.java.dev.jna",
    "jna-platform": "net.java.dev.jna",
    "jruby": "org.jruby",
    "json-path": "com.jayway.jsonpath",
    "jsr305": "com.google.code.findbugs",
    "jython": "org.python",
    "jython-standalone": "org.python",
    "kafka-clients": "org.apache.kafka",
    "kafka-streams": "org.apache.kafka",
    "mariadb-java-client": "org.mariadb.jdbc",
    "mssql-jdbc": "com.microsoft.sqlserver",
    "mysql-connector-j": "com.mysql",
    "mysql-connector-java": "mysql",
    "okhttp": ((0, "com.squareup.okhttp"), (3, "com.squareup.okhttp3")),
    "okio": "com.squareup.okio",
    "org.eclipse.osgi": "org.eclipse.platform",
    "picocli": "info.picocli",
    "pcollections": "org.pcollections",
    "postgresql": "org.postgresql",
    "quartz": "org.quartz-scheduler",
    "re2j": "com.google.re2j",
    "reactor-core": "io.projectreactor",
    "retrofit": ((0, "com.squareup.retrofit"), (2, "com.squareup.retrofit2")),
    "rxjava": ((0, "io.reactivex"), (2, "io.reactivex.rxjava2"), (3, "io.reactivex.rxjava3")),
    "snappy-java": "org.xerial.snappy",
    "sqlite-jdbc": "org.xerial",
    "velocity": "org.apache.velocity",
    "velocity-engine-core": "org.apache.velocity",
    "velocity-tools": "org.apache.velocity",
    "xalan": "xalan",
    "xercesImpl": "xerces",
    "xml-apis": "xml-apis",
    "xmlbeans": "org.apache.xmlbeans",
    "xstream": "com.thoughtworks.xstream",
    "zookeeper": "org.apache.zookeeper",
}

# The longest prefix counts.
_PREFIXES: Final[dict[str, _Group]] = {
    "ant-": "org.apache.ant",
    "asm-": "org.ow2.asm",
    "batik-": "org.apache.xmlgraphics",
    "bcmail-": "org.bouncycastle",
    "bcpg-": "org.bouncycastle",
    "bcpkix-": "org.bouncycastle",
    "bcprov-": "org.bouncycastle",
    "bctls-": "org.bouncycastle",
    "bcutil-": "org.bouncycastle",
    "derbyLocale_": "org.apache.derby",
    "derbyclient": "org.apache.derby",
    "derbynet": "org.apache.derby",
    "derbyshared": "org.apache.derby",
    "derbytools": "org.apache.derby",
    "fop": "org.apache.xmlgraphics",
    "gradle-": "org.gradle",
    "groovy-": ((0, "org.codehaus.groovy"), (4, "org.apache.groovy")),
    "grpc-": "io.grpc",
    "guice-": "com.google.inject.extensions",
    "hamcrest": "org.hamcrest",
    "junit-jupiter": "org.junit.jupiter",
    "junit-platform": "org.junit.platform",
    "junit-vintage": "org.junit.vintage",
    "kafka_2": "org.apache.kafka",
    "kotlin-": "org.jetbrains.kotlin",
    "kotlinx-": "org.jetbrains.kotlinx",
    "lucene-": "org.apache.lucene",
    "maven-artifact": "org.apache.maven",
    "maven-builder-support": "org.apache.maven",
    "maven-compat": "org.apache.maven",
    "maven-core": "org.apache.maven",
    "maven-model": "org.apache.maven",
    "maven-settings": "org.apache.maven",
    "mina-": "org.apache.mina",
    "micrometer-": "io.micrometer",
    "mockito-": "org.mockito",
    "okhttp-": ((0, "com.squareup.okhttp"), (3, "com.squareup.okhttp3")),
    "org.apache.aries.": "org.apache.aries",
    "org.apache.felix.": "org.apache.felix",
    "org.apache.servicemix.bundles.": "org.apache.servicemix.bundles",
    "org.apache.sling.": "org.apache.sling",
    "org.eclipse.core.": "org.eclipse.platform",
    "org.eclipse.emf.": "org.eclipse.emf",
    "org.eclipse.equinox.": "org.eclipse.platform",
    "org.eclipse.jdt.": "org.eclipse.jdt",
    "org.eclipse.osgi": "org.eclipse.platform",
    "org.eclipse.swt": "org.eclipse.platform",
    "opentelemetry-": "io.opentelemetry",
    "opentelemetry-instrumentation-": "io.opentelemetry.instrumentation",
    "opentelemetry-semconv": "io.opentelemetry.semconv",
    "poi-": "org.apache.poi",
    "protobuf-java": "com.google.protobuf",
    "reactor-netty": "io.projectreactor.netty",
    "slf4j-": "org.slf4j",
    "spring-amqp": "org.springframework.amqp",
    "spring-batch-": "org.springframework.batch",
    "spring-boot": "org.springframework.boot",
    "spring-boot-admin": "de.codecentric",
    "spring-cloud-": "org.springframework.cloud",
    "spring-data-": "org.springframework.data",
    "spring-hateoas": "org.springframework.hateoas",
    "spring-integration-": "org.springframework.integration",
    "spring-kafka": "org.springframework.kafka",
    "spring-ldap-": "org.springframework.ldap",
    "spring-rabbit": "org.springframework.amqp",
    "spring-security-": "org.springframework.security",
    "spring-security-oauth": "org.springframework.security.oauth",
    "spring-session-": "org.springframework.session",
    "spring-ws-": "org.springframework.ws",
    "tomcat-": "org.apache.tomcat",
    "tomcat-embed-": "org.apache.tomcat.embed",
    "zookeeper-": "org.apache.zookeeper",
}
_BY_LENGTH: Final = tuple(sorted(_PREFIXES, key=len, reverse=True))

# Files of a Tomcat installation: their names are not the artefacts'.
RENAMED: Final = {
    "catalina": "tomcat-catalina",
    "jasper": "tomcat-jasper",
    "catalina-ha": "tomcat-catalina-ha",
    "catalina-tribes": "tomcat-tribes",
}


def known_group(artifact: str, version: str) -> str:
    """The group of a well-known artefact; empty where it is not one."""
    group = _EXACT.get(artifact)
    if group is None:
        prefix = next((text for text in _BY_LENGTH if artifact.startswith(text)), "")
        group = _PREFIXES.get(prefix, "")
    if isinstance(group, str):
        return group
    match = _MAJOR.match(version)
    major = int(match[0]) if match else 0
    return [name for since, name in group if since <= major][-1]
