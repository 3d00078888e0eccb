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
)  # fmt: skip
_TABLE = tuple((re.compile(pattern), german) for pattern, german in _PATTERNS)
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
