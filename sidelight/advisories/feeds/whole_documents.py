"""Other names of a package in advisories: the names of a whole project.

Two of three of Tomcat's Maven advisories name `org.apache.tomcat:tomcat`, a distribution that is
the name of no jar. Others name a parent POM, or an artefact without its Scala version. A machine
has only the parts. So one part represents the whole, with the same version: the part that every
installation of the server has, so that a machine gets one finding and not one for each jar. A jar
into which others are merged represents these too. docs/decisions/0017-advisories-of-a-whole.md
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_SCALA: Final = re.compile(r"(.+:.+)_(?:2\.[0-9]{1,2}|3)")

# The part: the wholes in its own group (or with a separate group).
_WHOLES: Final = """
com.typesafe.akka:akka-actor akka
io.ktor:ktor-server-core ktor
io.netty:netty-codec-http netty netty-parent
io.undertow:undertow-core undertow-parent
org.apache.activemq:activemq-broker activemq-parent apache-activemq
org.apache.activemq:artemis-server artemis-pom apache-artemis
org.apache.ambari:ambari-server ambari
org.apache.archiva:archiva-common archiva
org.apache.camel:camel-core camel
org.apache.cxf:cxf-core cxf apache-cxf
org.apache.druid:druid-server druid
org.apache.hadoop:hadoop-common hadoop-main
org.apache.hbase:hbase-server hbase
org.apache.hive:hive-service hive
org.apache.jackrabbit:jackrabbit-core jackrabbit
org.apache.jena:jena-core jena
org.apache.karaf:org.apache.karaf.main karaf
org.apache.kylin:kylin-core-common kylin
org.apache.logging.log4j:log4j-core log4j
org.apache.nifi:nifi-runtime nifi
org.apache.orc:orc-core orc
org.apache.parquet:parquet-hadoop parquet
org.apache.pulsar:pulsar-broker pulsar
org.apache.shiro:shiro-core shiro-root
org.apache.solr:solr-core solr solr-parent
org.apache.storm:storm-core storm
org.apache.storm:storm-client storm
org.apache.struts:struts-core struts-parent
org.apache.struts:struts2-core struts2-parent
org.apache.tika:tika-core tika
org.apache.tomcat:catalina tomcat
org.apache.tomcat:tomcat-catalina tomcat
org.apache.tomee:tomee-catalina tomee apache-tomee tomee-webapp
org.apache.wicket:wicket-core wicket
org.apache.zeppelin:zeppelin-server zeppelin
org.eclipse.jetty:jetty-server jetty-project
org.glassfish:jakarta.faces mojarra-parent
org.glassfish:javax.faces mojarra-parent
org.jboss.resteasy:resteasy-core resteasy-bom
org.jboss.resteasy:resteasy-jaxrs resteasy-bom
org.jboss.weld:weld-core-impl weld-core-bom
org.keycloak:keycloak-services keycloak-parent
org.springframework:spring-core spring-framework-bom
org.wildfly.core:wildfly-server wildfly-core-parent
org.wildfly:wildfly-ee wildfly-parent wildfly-dist org.wildfly.bom:wildfly
"""
# The jar: the jars that are merged into it.
_MERGED: Final = """
org.apache.shiro:shiro-all shiro-core shiro-web shiro-spring shiro-root
org.apache.tomcat.embed:tomcat-embed-core org.apache.tomcat:tomcat
    org.apache.tomcat:tomcat-catalina org.apache.tomcat:tomcat-coyote org.apache.tomcat:tomcat-util
    org.apache.tomcat:tomcat-juli org.apache.tomcat:tomcat-servlet-api
org.apache.tomcat.embed:tomcat-embed-jasper org.apache.tomcat:tomcat-jasper
org.apache.tomcat.embed:tomcat-embed-websocket org.apache.tomcat:tomcat-websocket
org.eclipse.jetty.aggregate:jetty-all org.eclipse.jetty:jetty-server org.eclipse.jetty:jetty-http
    org.eclipse.jetty:jetty-util org.eclipse.jetty:jetty-servlets org.eclipse.jetty:jetty-webapp
    org.eclipse.jetty:jetty-xml
"""


def _table(*texts: str) -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for text in texts:
        for line in text.strip().replace("\n    ", " ").splitlines():
            part, *wholes = line.split()
            group = part.partition(":")[0]
            table[part] = tuple(name if ":" in name else f"{group}:{name}" for name in wholes)
    return table


_MAVEN: Final = _table(_WHOLES, _MERGED)


@lru_cache(maxsize=1 << 14)
def also_named(ecosystem: str, name: str) -> tuple[str, ...]:
    """Return the other names of a package in advisories; its version applies to them."""
    if ecosystem != "Maven":
        return ()
    wholes = _MAVEN.get(name, ())
    if scala := _SCALA.fullmatch(name):
        wholes += (scala[1],)
        if name.startswith("org.apache.spark:spark-core_"):
            wholes += (name.replace("spark-core", "spark-parent"),)
    return wholes
