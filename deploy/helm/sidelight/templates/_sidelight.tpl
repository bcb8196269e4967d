{{- define "sidelight.pod" -}}
serviceAccountName: {{ .Release.Name }}-sidelight
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: advisories
    persistentVolumeClaim: {claimName: {{ .Values.advisoriesClaim }}, readOnly: true}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "sidelight.container" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ .Values.secretName }}}
env:
  - {name: AWS_REGION, value: {{ .Values.region | quote }}}
  - {name: SIDELIGHT_ADVISORIES, value: /advisories/advisories.db}
  - {name: SIDELIGHT_SOFT_SHUTDOWN_SECONDS, value: {{ .Values.softShutdownSeconds | quote }}}
  {{- range $name, $value := .Values.settings }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
volumeMounts:
  - {name: advisories, mountPath: /advisories, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}
