"""How an alarm about a code looks in the API, and how it is answered."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants.models import Code, CodeAlarm
from merchants.shapes import PublicId
from payments import code_watch

_ADVICE = {
    "": gettext_noop(
        "Look at it: your sign must show your check word, and scanning the sticker must open your own page."
    ),
    "fine": gettext_noop("Thank you. A silence like this one will raise no alarm again."),
    "resumed": gettext_noop("It was paid again."),
    "swapped": gettext_noop(
        "Your code is paused. Take the strange sticker off, keep it, print a new code and replace the old one."
    ),
}


class AlarmShape(serializers.ModelSerializer[CodeAlarm]):
    """A code that behaves as if another sticker was over it. `sentence` says why we think so, `advice` what to do."""

    id = PublicId(CodeAlarm.prefix, read_only=True)
    code = PublicId(Code.prefix, source="code_id", read_only=True)
    label = serializers.SerializerMethodField()  # type: ignore[assignment]  # DRF keeps fields apart from attributes.
    state = serializers.SerializerMethodField(help_text="open or ended")
    sentence = serializers.SerializerMethodField()
    advice = serializers.SerializerMethodField()
    evidence = serializers.DictField(read_only=True, help_text="the figures it was raised on")

    class Meta:
        model = CodeAlarm
        fields = [
            "id", "code", "label", "kind", "state", "sentence", "advice", "evidence", "raised_at", "ended_at", "ending",
        ]  # fmt: skip
        read_only_fields = fields

    def get_label(self, alarm: CodeAlarm) -> str:
        return code_watch.called(alarm.code)

    @extend_schema_field(serializers.ChoiceField(choices=["open", "ended"]))
    def get_state(self, alarm: CodeAlarm) -> str:
        return "ended" if alarm.ended_at else "open"

    def get_sentence(self, alarm: CodeAlarm) -> str:
        return code_watch.sentence(alarm)

    def get_advice(self, alarm: CodeAlarm) -> str:
        return _(_ADVICE[alarm.ending])


class AlarmAnswer(serializers.Serializer[Any]):
    """What was found."""

    ending = serializers.ChoiceField(choices=["fine", "swapped"])
