# SPDX-License-Identifier: Apache-2.0
"""The German of sentences that our own rooms write: reasons, remedies, phases, what was not tested. Pure.

`html` calls it. Plans and bundles hold one language, English; the report shows both. What a cloud said stays as
it was said. A sentence that is not in the table is returned as it is, and the tests look for such.
"""

from __future__ import annotations

import re

_PATTERNS: tuple[tuple[str, str], ...] = (
    # planning: reasons
    (r"needs (\S+) \((.*?)\), which is left: (.*)", r"braucht \1 (\2), das zurückbleibt: ⟦\3⟧"),
    (r"needs (\S+) \((.*?)\), which is not shown: (.*)", r"braucht \1 (\2), das nicht gezeigt wurde: ⟦\3⟧"),
    (r"the target has another key of this name", "das Ziel hat einen anderen Schlüssel dieses Namens"),
    (r"each project has one group `default`, and the target's has other rules: carried under a new name",
     "jedes Projekt hat eine Gruppe `default`, und die des Ziels hat andere Regeln: geht unter neuem Namen mit"),
    (r"refers to (\S+), which is not the project's own; without it the rule would open",
     r"verweist auf \1, das nicht dem Projekt gehört; ohne das stünde die Regel offen"),
    (r"a tenant cannot share a network: it stays private",
     "ein Mandant kann kein Netz teilen: es bleibt privat"),
    (r"QoS policies are not carried", "QoS-Richtlinien gehen nicht mit"),
    (r"the target has no network zone (.*)", r"das Ziel hat keine Netzzone \1"),
    (r"subnet pools are not carried: the same addresses, outside a pool",
     "Subnetz-Pools gehen nicht mit: dieselben Adressen, außerhalb eines Pools"),
    (r"the target has no external network: the router is carried without its gateway",
     "das Ziel hat kein externes Netz: der Router geht ohne sein Gateway mit"),
    (r"(.*): the router is carried without its gateway", r"⟦\1⟧: der Router geht ohne sein Gateway mit"),
    (r"without a gateway there is no SNAT", "ohne Gateway gibt es kein SNAT"),
    (r"only an admin may switch SNAT off: the router arrives with it",
     "nur ein Administrator darf SNAT abschalten: der Router kommt mit SNAT an"),
    (r"on the external network (.*) in place of (.*), as chosen with --map",
     r"am externen Netz \1 statt \2, wie mit --map gewählt"),
    (r"the target chooses its public address", "das Ziel wählt seine öffentliche Adresse"),
    (r"made by the cloud for (.*)", r"von der Cloud angelegt für \1"),
    (r"stands on (\S+), which is not the project's own", r"steht auf \1, das nicht dem Projekt gehört"),
    (r"the target has no external network", "das Ziel hat kein externes Netz"),
    (r"the target has no external network (.*)", r"das Ziel hat kein externes Netz \1"),
    (r"a tenant cannot keep a public address: change the DNS entry, the target chooses another",
     "ein Mandant kann eine öffentliche Adresse nicht behalten: DNS-Eintrag ändern, das Ziel wählt eine andere"),
    (r"its status is (.*)", r"sein Zustand ist \1"),
    (r"a tenant cannot publish an image: it stays private",
     "ein Mandant kann kein Abbild veröffentlichen: es bleibt privat"),
    (r"shared with (\d+) projects of the source cloud, which the target does not know",
     r"geteilt mit \1 Projekten der Quell-Cloud, die das Ziel nicht kennt"),
    (r"it is encrypted and the target has no type with the aspect scs:encrypted",
     "es ist verschlüsselt, und das Ziel hat keinen Typ mit dem Merkmal scs:encrypted"),
    (r"the target has no volume type (.*)", r"das Ziel hat keinen Volume-Typ \1"),
    (r"the target has no zone (.*) for volumes: it chooses one", r"das Ziel hat keine Zone \1 für Volumes: es wählt eine"),
    (r"the target has no zone (.*): it chooses one", r"das Ziel hat keine Zone \1: es wählt eine"),
    (r"no API carries a snapshot to another cloud as a snapshot",
     "keine Schnittstelle bringt einen Snapshot als Snapshot in eine andere Cloud"),
    (r"backups live in the provider's backup store", "Sicherungen liegen im Sicherungsspeicher des Anbieters"),
    (r"grants to others of the source cloud stay shut: (.*)", r"Rechte Dritter der Quell-Cloud bleiben geschlossen: \1"),
    (r"container sync is not carried", "Container-Abgleich geht nicht mit"),
    (r"earlier versions of its objects are not carried", "frühere Fassungen seiner Objekte gehen nicht mit"),
    (r"the target's object store does not offer (.*)", r"der Objektspeicher des Ziels bietet \1 nicht"),
    (r"refers to (\S+), which does not exist", r"verweist auf \1, das es nicht gibt"),
    (r"its links lead in a circle: nobody can read it", "seine Verweise führen im Kreis: niemand kann es lesen"),
    (r"Delete it, or point it elsewhere\.", "Löschen oder auf etwas anderes verweisen."),
    (r"read rights of (\d+) users of the source cloud stay shut",
     r"Leserechte von \1 Nutzern der Quell-Cloud bleiben geschlossen"),
    (r"a symlink into another account, (.*): what it shows is not the project's own",
     r"ein Verweis in ein anderes Konto, \1: was er zeigt, gehört nicht dem Projekt"),
    (r"the ETag of a large object's manifest is the cloud's own: the link follows its target's name instead",
     "der ETag des Verzeichnisses eines großen Objekts ist Sache der Cloud: der Verweis folgt stattdessen dem Namen"),
    (r"no flavor of the target covers (.*)", r"kein Flavor des Ziels deckt \1 ab"),
    (r"the target has no flavor (.*); (.*) covers it: (.*) for (.*)",
     r"das Ziel hat keinen Flavor \1; \2 deckt ihn ab: \3 statt \4"),
    (r"(.*) is another; (.*) covers it: (.*) for (.*)", r"\1 ist ein anderer; \2 deckt ihn ab: \3 statt \4"),
    (r"its local disk is made anew from the image: what was written there since is not readable with tenant rights",
     "seine lokale Platte entsteht neu aus dem Abbild: was seither darauf geschrieben wurde, ist mit den Rechten "
     "eines Mandanten nicht lesbar"),
    (r"its user_data, if it had any, is not carried: it is not readable with tenant rights",
     "seine user_data, falls es welche gab, gehen nicht mit: mit den Rechten eines Mandanten nicht lesbar"),
    (r"the provider's image (.*) is not on the target", r"das Abbild \1 des Anbieters gibt es am Ziel nicht"),
    # planning: remedies
    (r"Rename one of the two keys\.", "Einen der beiden Schlüssel umbenennen."),
    (r"Make a rule with a remote that exists in the target; until then it stays shut\.",
     "Eine Regel mit einer Gegenstelle anlegen, die es am Ziel gibt; bis dahin bleibt sie geschlossen."),
    (r"Nothing to do\.", "Nichts zu tun."),
    (r"Connect it to a network of the project, or make it by hand\.",
     "An ein Netz des Projekts anschließen oder von Hand anlegen."),
    (r"Ask the provider for (one|more|a type)\.", "Beim Anbieter danach fragen."),
    (r"Choose one of (.*): (plan --map .*)\.", r"Eines davon wählen: \1 (\2)."),
    (r"Ask the provider to switch it off after the move, or leave the gateway out \((.*)\)\.",
     r"Den Anbieter bitten, es nach dem Umzug abzuschalten, oder das Gateway weglassen (\1)."),
    (r"Finish or delete it\.", "Fertigstellen oder löschen."),
    (r"Bring it to (\S+) or (\S+)\.", r"In den Zustand \1 oder \2 bringen."),
    (r"Agree with its owner where it may lie unencrypted, or ask the provider for a type\.",
     "Mit dem Eigentümer klären, wo es unverschlüsselt liegen darf, oder den Anbieter nach einem Typ fragen."),
    (r"Make a volume from it before the move, if its content is needed\.",
     "Vor dem Umzug ein Volume daraus machen, wenn der Inhalt gebraucht wird."),
    (r"Restore it to a volume before the move, or start a new series in the target\.",
     "Vor dem Umzug in ein Volume zurückspielen oder am Ziel eine neue Reihe beginnen."),
    (r"Store it as one object by hand\.", "Von Hand als ein Objekt ablegen."),
    (r"Mend or delete it\.", "Richten oder löschen."),
    (r"Renew or delete it\.", "Erneuern oder löschen."),
    (r"Ask the provider for one, or shrink the server\.", "Den Anbieter danach fragen oder den Server verkleinern."),
    (r"Copy the image into the source project as its own, then plan again\.",
     "Das Abbild als eigenes in das Quellprojekt kopieren, dann neu planen."),
    (r"Make it by hand, if that account exists at the target too; or put a copy of the content here\.",
     "Von Hand anlegen, wenn es das Konto auch am Ziel gibt; oder eine Kopie des Inhalts hier ablegen."),
    (r"Its owner opens it to the project, or carries it himself\.",
     "Wem es gehört, der öffnet es für das Projekt oder nimmt es selbst mit."),
    # census
    (r"([\w, ]+): (an object store tells .*|its list of access .*)", r"\1: ⟦\2⟧"),
    (r"an object store tells it to an owner of the account only, and nothing that only an owner sees was seen: "
     r"it is empty or hidden",
     "ein Objektspeicher sagt es nur einem Eigentümer des Kontos, und nichts, was nur ein Eigentümer sieht, war zu "
     "sehen: es ist leer oder verborgen"),
    (r"its list of access is not readable: it is private to another user, or the role does not suffice",
     "seine Zugriffsliste ist nicht lesbar: es ist nur für einen anderen Nutzer, oder die Rolle genügt nicht"),
    (r"it is private to user (\S+), who made it; on the target it is private to who moves it",
     r"es ist nur für den Nutzer \1, der es anlegte; am Ziel nur für den, der es umzieht"),
    (r"(\d+) registered users of it are not carried: (.*)", r"\1 Dienste, die als seine Nutzer eingetragen sind, gehen nicht mit: \2"),
    (r"(\S+) is a secret and is not carried", r"\1 ist ein Geheimnis und geht nicht mit"),
    (r"the key of its synchronisation is a secret and is not carried",
     "der Schlüssel seines Abgleichs ist ein Geheimnis und geht nicht mit"),
    (r"rights of others in the account are not carried", "Rechte anderer am Konto gehen nicht mit"),
    # verify
    (r"What an object store tells to owners only was told to the verifier on the (source|target)\.",
     r"Was ein Objektspeicher nur Eigentümern sagt, wurde dem Prüfer gesagt (\1)."),
    (r"it put an ACL on a container of its own and was told it: an ACL that it was not told of is empty",
     "er setzte eine Zugriffsliste auf einen eigenen Container und bekam sie gesagt: wo er keine sah, ist keine"),
    (r"an ACL that the verifier put on a container of its own was not told to it",
     "eine Zugriffsliste, die der Prüfer auf einen eigenen Container setzte, wurde ihm nicht gesagt"),
    (r"missing on the target", "fehlt am Ziel"),
    (r"equal on both sides", "auf beiden Seiten gleich"),
    (r"left, as the plan declares: (.*)", r"bleibt zurück, wie der Plan sagt: ⟦\1⟧"),
    (r"equal but for what the plan declares: (.*)", r"gleich bis auf das, was der Plan sagt: ⟦\1⟧"),
    (r"one side was not looked at", "eine Seite wurde nicht angesehen"),
    (r"user_data is not readable with tenant rights", "user_data ist mit den Rechten eines Mandanten nicht lesbar"),
    (r"it has no payload", "es hat keinen Inhalt"),
    (r"it was not read", "es wurde nicht gelesen"),
    (r"(missing|surplus): (.*); surplus: (.*)", r"fehlt: \2; zu viel: \3"),
    (r"missing: (.*)", r"fehlt: \1"),
    (r"surplus: (.*)", r"zu viel: \1"),
    (r"(\d+) earlier versions of its objects are not carried", r"\1 frühere Fassungen seiner Objekte gehen nicht mit"),
    (r"(.*) is on the target as it was on the source\.", r"\1 ist am Ziel, wie es an der Quelle war."),
    (r"The content of (.*) is the same on both sides\.", r"Der Inhalt von \1 ist auf beiden Seiten derselbe."),
    (r"Nothing of kind (.*) is missing or surplus on the target\.", r"Von der Art \1 fehlt am Ziel nichts und ist nichts zu viel."),
    (r"(.*) of the source was looked at\.", r"\1 an der Quelle wurde angesehen."),
    (r"(.*) of the target was looked at\.", r"\1 am Ziel wurde angesehen."),
    (r"The service catalog of the (source|target) was the same before the move and at the verification\.",
     r"Der Dienstkatalog war vor dem Umzug und bei der Prüfung derselbe (\1)."),
    (r"The certificate of the (source|target) was the same before the move and at the verification\.",
     r"Das Zertifikat war vor dem Umzug und bei der Prüfung dasselbe (\1)."),
    # what a cloud said about addresses
    (r"(?:Elsewhere: )?([A-Z]+) (\S+): HTTP (\d+) points to (\S+), which is another place",
     r"\1 \2: HTTP \3 weist auf \4, einen anderen Ort; dorthin ging nichts"),
    (r"(?:Elsewhere: )?([A-Z]+) (\S+): HTTP (\d+) points to another path of (\S+)",
     r"\1 \2: HTTP \3 weist auf einen anderen Pfad von \4; dorthin ging nichts"),
    (r"(?:Broken: )?GET (\S+): its next page is said to be at (\S+), which is not this listing",
     r"GET \1: die nächste Seite stehe unter \2, und das ist eine andere Liste"),
    (r"plain http: who answered, and whether it was changed on the way, is not shown",
     "http ohne Verschlüsselung: wer antwortete und ob unterwegs etwas verändert wurde, ist nicht gezeigt"),
    (r"plain http of (.*): who answered, and who else read the token, is not shown",
     r"http ohne Verschlüsselung bei \1: wer antwortete und wer das Token mitlas, ist nicht gezeigt"),
    (r"clouds\.yaml says verify: false: who answered is not shown",
     "clouds.yaml sagt verify: false: wer antwortete, ist nicht gezeigt"),
    # openings (their claims stand in `_OPENINGS`)
    (r"nothing opened", "nichts wurde geöffnet"),
    (r"opened, as allowed by name: (\S+)", r"geöffnet, wie beim Namen erlaubt: \1"),
    (r"opened, and allowed by nobody: (\S+)", r"geöffnet, und von niemandem erlaubt: \1"),
    (r"open on the target; whether it was on the source: (.*)", r"am Ziel offen; ob es an der Quelle so war: \1"),
    # closing a source
    (r"What was deleted at the source was held on the target just before\.",
     "Was an der Quelle gelöscht wurde, war am Ziel unmittelbar davor gehalten."),
    (r"(\d+) things deleted, each after a comparison with what was seen",
     r"\1 Dinge gelöscht, jedes nach einem Vergleich mit dem, was gesehen wurde"),
    (r"What was deleted at the source is not there any more\.", "Was an der Quelle gelöscht wurde, ist dort nicht mehr."),
    (r"a census afterwards does not list it", "ein Zensus danach führt es nicht auf"),
    (r"there again: (.*)", r"wieder da: \1"),
    (r"the closing was stopped before its end; the same command goes on",
     "das Abschließen wurde vor dem Ende angehalten; derselbe Befehl setzt es fort"),
    (r"(\S+) of (.*) was not lost when it was deleted at the source\.",
     r"\1 von \2 ging nicht verloren, als es an der Quelle gelöscht wurde."),
    (r"accepted by name: (.*)", r"namentlich in Kauf genommen: ⟦\1⟧"),
    (r"what was written to its local disk is not readable with tenant rights",
     "was auf seine lokale Platte geschrieben wurde, ist mit den Rechten eines Mandanten nicht lesbar"),
    (r"its user_data, if it had any, is not readable with tenant rights",
     "seine user_data, falls es welche gab, sind mit den Rechten eines Mandanten nicht lesbar"),
    (r"the target changed it since the move", "das Ziel hat es seit dem Umzug verändert"),
    # evidence: what was not tested
    (r"Contracts, notice periods and prices of either provider\.",
     "Verträge, Kündigungsfristen und Preise beider Anbieter."),
    (r"People: whether somebody who knows the application could run it on the target\.",
     "Menschen: ob jemand, der das Verfahren kennt, es am Ziel betreiben könnte."),
    (r"Licences that are bound to a provider, a host or an address\.",
     "Lizenzen, die an einen Anbieter, einen Rechner oder eine Adresse gebunden sind."),
    (r"DNS: public addresses change, and nobody was told\.",
     "DNS: öffentliche Adressen ändern sich, und niemandem wurde das mitgeteilt."),
    (r"Load: whether the target carries the application's traffic\.",
     "Last: ob das Ziel den Verkehr des Verfahrens trägt."),
    (r"The inside of the servers: no guest was logged into\.",
     "Das Innere der Server: in keinem wurde jemand angemeldet."),
    (r"Local disks of servers that did not boot from a volume: they cannot be read with tenant rights\.",
     "Lokale Platten von Servern, die nicht von einem Volume starten: mit den Rechten eines Mandanten nicht lesbar."),
    (r"user_data of servers: it cannot be read with tenant rights\.",
     "user_data von Servern: mit den Rechten eines Mandanten nicht lesbar."),
    (r"Writes to the source after the census: stop the application before a real switch\.",
     "Schreibzugriffe auf die Quelle nach dem Zensus: das Verfahren vor einem echten Wechsel anhalten."),
    # phases of a drill, and marks
    (r"census", "Zensus"), (r"plan", "Plan"), (r"move", "Umzug"), (r"verify", "Prüfung"), (r"close", "Aufräumen"),
    (r"seal", "Siegeln"), (r"report", "Bericht"),
    (r"left", "bleibt"), (r"changed", "verändert"), (r"failed", "gescheitert"),
)  # fmt: skip
_OPENINGS: tuple[tuple[str, str], ...] = (
    (r"(.*) reaches (.*)", r"\1 erreicht \2"),
    (r"(.*) may send (.*)", r"\1 darf senden: \2"),
    (r"replies pass (.*), whose groups are stateful there", r"Antworten kommen durch bei \1 (dort zustandsbehaftete Gruppen)"),
    (r"(.*) has no port security: all traffic passes, from and to any address",
     r"\1 hat keinen Portschutz: aller Verkehr kommt durch, von und zu jeder Adresse"),
    (r"(.*) may also use (.*)", r"\1 darf auch \2 benutzen"),
    (r"(.*) is switched on", r"\1 ist eingeschaltet"),
    (r"(.*) stands on (.*)", r"\1 steht an \2"),
    (r"(.*) is connected by (.*)", r"\1 ist verbunden durch \2"),
    (r"(.*) leads to the external network (.*)", r"\1 führt zum externen Netz \2"),
    (r"(.*) has SNAT: addresses behind it that had no way out have one",
     r"\1 hat SNAT: Adressen dahinter, die keinen Weg hinaus hatten, haben einen"),
    (r"(.*) has a public address on (.*)", r"\1 hat eine öffentliche Adresse am Netz \2"),
    (r"(.*) is shared: (.*)", r"\1 ist geteilt: \2"),
    (r"(.*) is open to (.*)", r"\1 ist offen für \2"),
    (r"(.*) is copied to (.*)", r"\1 wird kopiert nach \2"),
    (r"(.*) may be read by (.*)", r"\1 lesbar für \2"),
    (r"(.*) lies unencrypted", r"\1 liegt unverschlüsselt"),
)  # fmt: skip
"""What an opening says (`unterbau.plan.Opening.text`)."""
_OPENED: tuple[tuple[str, str], ...] = (
    ("traffic in", "Verkehr hinein"), ("traffic out", "Verkehr hinaus"), ("reply traffic", "Antwortverkehr"),
    ("port security", "Portschutz"), ("address pairs", "Adresspaare"), ("administrative state", "ein- und ausgeschaltet"),
    ("networks of servers and ports", "Netze von Servern und Ports"),
    ("connections of networks", "Verbindungen von Netzen"), ("external gateways", "externe Gateways"), ("SNAT", "SNAT"),
    ("public addresses", "öffentliche Adressen"), ("shared networks and groups", "geteilte Netze und Gruppen"),
    ("container ACLs", "Rechte an Containern"), ("container sync", "Container-Abgleich"),
    ("secret ACLs", "Rechte an Geheimnissen"), ("image visibility", "Sichtbarkeit von Abbildern"),
    ("encryption at rest", "Verschlüsselung im Speicher"),
)  # fmt: skip
"""Kinds of openings (`unterbau.plan.Opened`)."""
_TABLE = tuple(
    (re.compile(pattern), german)
    for pattern, german in (
        *_PATTERNS,
        *((rf"Closed on the source, or allowed by name to be open on the target: {p}\.",
           f"An der Quelle geschlossen, oder am Ziel beim Namen erlaubt: {g}.") for p, g in _OPENINGS),
        *((f"Nothing that was closed on the source is open on the target, but for what was allowed by name: {p}\\.",
           f"Nichts, was an der Quelle geschlossen war, ist am Ziel offen, außer was beim Namen erlaubt wurde: {g}.")
          for p, g in _OPENED),
    )
)  # fmt: skip
_INNER = re.compile(r"⟦(.*)⟧", re.DOTALL)
"""Around a reason within a reason."""


def german(text: str) -> str:
    """The sentence in German, or as it is. Reasons that were joined by `; ` are taken one by one."""
    whole = _sentence(text)
    if whole is not None or not text:
        return whole or text
    parts = [(part, _sentence(part)) for part in text.split("; ")]
    return "; ".join(done if done is not None else part for part, done in parts)


def _sentence(text: str) -> str | None:
    for pattern, template in _TABLE:
        found = pattern.fullmatch(text)
        if found:
            told = found.expand(template)
            return _INNER.sub(lambda m: german(m.group(1)), told) if "⟦" in template else told
    return None
