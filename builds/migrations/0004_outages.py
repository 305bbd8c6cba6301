from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("builds", "0003_buildonly"),
    ]

    operations = [
        migrations.AddField(
            model_name="componentbuild",
            name="unresolved_ref",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="modulebuild",
            name="checking_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="outboxmessage",
            name="error",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="outboxmessage",
            name="set_aside_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
