import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0009_saved_searches'),
    ]

    operations = [
        migrations.CreateModel(
            name='LoadSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('time', models.DateTimeField(default=django.utils.timezone.now)),
                ('building', models.PositiveIntegerField()),
                ('waiting', models.PositiveIntegerField()),
                ('oldest_wait', models.FloatField(default=0)),
                ('unpublished', models.PositiveIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['time'], name='load_time')],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('time', models.DateTimeField(default=django.utils.timezone.now)),
                ('who', models.CharField(max_length=255)),
                ('via', models.CharField(choices=[('api', 'API'), ('page', 'page'), ('admin', 'admin'), ('command', 'mbs-manager')], max_length=16)),
                ('action', models.CharField(max_length=32)),
                ('subject', models.CharField(blank=True, max_length=255)),
                ('detail', models.CharField(blank=True, max_length=500)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('module_build', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='builds.modulebuild')),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'indexes': [models.Index(fields=['who', 'id'], name='audit_who'), models.Index(fields=['module_build', 'id'], name='audit_build'), models.Index(fields=['action', 'id'], name='audit_action'), models.Index(fields=['time'], name='audit_time')],
            },
        ),
    ]
