
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0001_module_builds"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apitoken",
            options={"verbose_name": "API token"},
        ),
        migrations.AlterModelOptions(
            name="arch",
            options={"verbose_name": "architecture"},
        ),
        migrations.RemoveIndex(
            model_name="modulebuild",
            name="module_progress",
        ),
        migrations.AddField(
            model_name="componentbuild",
            name="losses",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="modulebuild",
            name="started_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
    ]
