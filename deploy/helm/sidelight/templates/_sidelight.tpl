{{/* The pod of a component: `root` is the chart's scope, `process` the pod's label, `account` its service
account. A pod of `serve` has neither a token nor a role. */}}
{{- define "sidelight.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: {{ ne .account (printf "%s-sidelight-serve" .root.Release.Name) }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  {{- range .root.Values.topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {sidelight/process: {{ $.process }}}
  {{- end }}
volumes:
  - name: advisories
    persistentVolumeClaim: {claimName: {{ .root.Values.advisoriesClaim }}, readOnly: true}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "sidelight.labels" -}}
{{- if gt (len .process) 63 }}
{{- fail (printf "%s: a label has 63 characters at most: take a shorter name of release or pool" .process) }}
{{- end }}
app.kubernetes.io/name: sidelight
app.kubernetes.io/instance: {{ .root.Release.Name }}
sidelight/process: {{ .process }}
{{- end }}

{{- define "sidelight.image" -}}
image: {{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A container: `secrets` are the variables that it gets of the Secret, `optional` those that may be absent,
`settings` those that differ from the chart's. */}}
{{- define "sidelight.container" -}}
{{ include "sidelight.image" .root }}
env:
  - {name: AWS_REGION, value: {{ .root.Values.region | quote }}}
  - {name: SIDELIGHT_ADVISORIES, value: /advisories/advisories.db}
  - {name: SIDELIGHT_SOFT_SHUTDOWN_SECONDS, value: {{ .root.Values.softShutdownSeconds | quote }}}
  {{- range $name, $value := mergeOverwrite (dict) .root.Values.settings (ternary (dict "SIDELIGHT_READER_ROLE_NAME" .root.Values.reader.roleName) dict .root.Values.reader.enabled) (.settings | default dict) }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
  {{- range .secrets }}
  - name: {{ . }}
    valueFrom:
      secretKeyRef: {name: {{ $.root.Values.secretName }}, key: {{ . }}}
  {{- end }}
  {{- range .optional }}
  - name: {{ . }}
    valueFrom:
      secretKeyRef: {name: {{ $.root.Values.secretName }}, key: {{ . }}, optional: true}
  {{- end }}
volumeMounts:
  - {name: advisories, mountPath: /advisories, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "sidelight.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .process }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {sidelight/process: {{ .process }}}
{{- end }}
