#!/bin/sh
# User data of the web server of the tenant that serves (`tenant`).  Its first rows stand in the mark below.
# SPDX-License-Identifier: Apache-2.0
mkdir -p /srv/www/cgi-bin /srv/daten /etc/local.d
cat >/etc/local.d/fachverfahren.start <<'X'
#!/bin/sh
disk=$(findfs LABEL=fv-daten) && mount -t ext4 -o sync "$disk" /srv/daten
httpd -p 80 -h /srv/www
httpd -p 81 -h /srv/www
X
cat >/srv/www/cgi-bin/index.cgi <<'X'
#!/bin/sh
rows=/srv/daten/rows
if [ "$REQUEST_METHOD" = POST ] && mountpoint -q /srv/daten; then
  head -c "$CONTENT_LENGTH" >>$rows
  echo >>$rows
  sync
fi
printf 'Content-Type: text/plain; charset=utf-8\r\n\r\n'
echo "Fachverfahren FV-1"
if [ -r $rows ]; then
  cat $rows
  echo "rows: $(wc -l <$rows), sha256 $(sha256sum <$rows | cut -c1-64)"
else
  echo "no database"
fi
X
chmod 755 /etc/local.d/fachverfahren.start /srv/www/cgi-bin/index.cgi
disk=/dev/vdb
/usr/local/bin/busybox mke2fs -L fv-daten $disk >/dev/null
mount -t ext4 -o sync $disk /srv/daten
cat >/srv/daten/rows <<'X'
@ROWS@
X
umount /srv/daten
sync
